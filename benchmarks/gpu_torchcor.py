"""Upstroke and TorchCor on one GPU, in turns: the same slab of tetrahedra, the same step, at 2e4 and 1e6 nodes.

    python benchmarks/gpu_torchcor.py [--budget 100] [--emulated]

Needs torch with CUDA, and the packages torchcor and nvidia-ml-py (pure Python: `gpu_check.sh --pack` carries them).
Both take consistent mass, Crank-Nicolson at dt 0.05 ms and conjugate gradients; ten Tusscher-Panfilov cells, stimulated
in a corner, with the wave under way. TorchCor runs in a process of its own and takes steps on demand; states in fp32,
solver in fp64, torch.compile, as its quick start has it. Its own stepping code is used as it is. Around it this script
hands over the mesh in memory, sums its element matrices with tensors instead of lists, which takes minutes at 1e6
nodes, and leaves its drawing and ECG modules out. None of that is timed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
from gpu_common import ROUND_S, ROUNDS, Contestant, heading, report, say, settings, stamp

sys.path.insert(0, str(Path(__file__).parent / "peers"))

SIZES, TINY = (2e4, 1e6), (100,)
WARM_UP = 100            # steps: 5 ms
DT, DX = 0.05, 0.2       # ms, mm
OURS = {"Upstroke, fp64, chebyshev": ("fp64", "chebyshev"), "Upstroke, fp64, cg": ("fp64", "cg"),
        "Upstroke, fp32, chebyshev": ("fp32", "chebyshev")}
THEIRS = "TorchCor"
FOR_SET_UP = 40.0        # seconds that a size needs, with the other code's compilation


def missing() -> str:
    """Why TorchCor cannot run here; empty where it can."""
    for name in ("torch", "torchcor", "pynvml", "pandas"):
        if find_spec(name) is None:
            return f"no package {name} here, so no comparison with TorchCor"
    import torch

    return "" if torch.cuda.is_available() else "torch finds no CUDA device, so no comparison with TorchCor"


# --------------------------------------------------------------------------------------------- the other code
def worker(nodes: tuple[int, int, int]) -> None:
    """TorchCor's side: builds the slab, then takes as many steps as each line of standard input says.

    Prints one line of JSON when it is ready, and one with the seconds and iterations of every demand.
    """
    for name in ("torchcor.core.visualize", "torchcor.signalanalysis", "torchcor.signalanalysis.signalanalysis",
                 "torchcor.signalanalysis.signalanalysis.ecg_QS"):
        module = ModuleType(name)
        module.__path__, module.Ecg = [], None
        sys.modules[name] = module
    import slab as niederer
    import torch
    from torchcor.core.assemble import Matrices3D
    from torchcor.core.conductivity import Conductivity
    from torchcor.core.mesh import Elems
    from torchcor.core.stimulation import StimConfig, Stimuli
    from torchcor.ionic import TenTusscherPanfilov
    from torchcor.simulator import Monodomain
    from torchcor_niederer import CONDUCTIVITY, STATES

    torch.set_float32_matmul_precision("highest")
    Matrices3D.assemble_matrices = _summed
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    points, tetrahedra = slab_mesh(nodes)
    n = len(points)
    cell = TenTusscherPanfilov(cell_type="EPI", dt=DT, dtype=torch.float32)
    for state, value in niederer.INITIAL.items():
        setattr(cell, STATES.get(state, f"{state}_init"), value)
    tissue = Monodomain(ionic_models=[cell], T=1e9, dt=DT, device=device, dtype=torch.float32)
    elems = Elems()
    elems.Tt.data, elems.Tt.idx = tetrahedra, np.arange(len(tetrahedra))
    elems.Tt.region = np.ones(len(tetrahedra), int)
    tissue.n_nodes, tissue.elems = n, elems.to_torch(device)
    tissue.nodes = torch.from_numpy(points).to(dtype=torch.float32, device=device)
    tissue.regions = torch.ones(len(tetrahedra), dtype=torch.long, device=device)
    tissue.unique_regions = [1]
    tissue.fibres = torch.tensor([1.0, 0.0, 0.0], device=device).repeat(len(tetrahedra), 1)
    tissue.conductivity = Conductivity(tissue.regions, dtype=torch.float32)
    cell.region_ids, cell.node_indices = [1], torch.arange(n, device=device)
    tissue.stimuli = Stimuli(n, device, torch.float32)
    corner = torch.from_numpy((points < niederer.STIMULUS_EDGE + 1e-6).all(axis=1))
    current = niederer.STIMULUS * corner.to(device=device, dtype=torch.float32)
    tissue.stimuli.stimulus_list.append(StimConfig("", current, 0.0, niederer.STIMULUS_END + 0.5 * DT,
                                                   niederer.STIMULUS, 1e9, 1))
    tissue.add_conductivity(None, **CONDUCTIVITY)
    tissue.assemble()
    u = cell.initialize(n).clone()
    tissue.cg.initialize(x=u, linear_guess=True)

    def synchronise() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    done = 0
    print(json.dumps({"nodes": n, "torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        iterations = 0
        synchronise()
        start = time.perf_counter()
        for _ in range(int(line)):
            done += 1
            u, count, _, _ = tissue.step(u, done * DT, 1e-5, 1e-5, 100)
            iterations += count
        synchronise()
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "iterations": iterations, "highest_mV": float(u.max())}), flush=True)


def _summed(self: Any, sigma: Any) -> tuple[Any, Any]:
    """The matrices of Matrices3D, from its own element matrices."""
    import torch

    mass, stiffness = self.construct_local_matrices(sigma)
    cells = self.tetrahedrons
    rows, columns = cells[:, :, None].expand(-1, 4, 4).reshape(-1), cells[:, None, :].expand(-1, 4, 4).reshape(-1)
    matrices = [torch.sparse_coo_tensor(torch.stack([rows, columns]), values.reshape(-1),
                                        (self.n_vertices, self.n_vertices)).coalesce() for values in (stiffness, mass)]
    return matrices[0], matrices[1]


def slab_mesh(nodes: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Points in mm and tetrahedra of a slab, as ours are numbered and cut."""
    from gpu_slab import case

    from upstroke.mesh import build_mesh

    mesh = build_mesh(case("slab", [m - 1 for m in nodes]).mesh)
    return 10.0 * mesh.points, mesh.cells.astype(np.int64)


class Peer:
    """The worker process, which takes steps as a contestant does."""

    def __init__(self, nodes: tuple[int, int, int]) -> None:
        self._process = subprocess.Popen([sys.executable, __file__, "--worker", *map(str, nodes)], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.about: dict[str, Any] = {}
        self.last: dict[str, Any] = {}

    def wait(self) -> None:
        """Until it is built."""
        self.about = self._answer()

    def take(self, steps: int) -> float:
        """Seconds of ``steps`` more steps, as the worker measured them."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        self.last = self._answer()
        return float(self.last["seconds"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError("TorchCor's process ended; see above")

    def close(self) -> None:
        self._process.communicate(timeout=60)


# ----------------------------------------------------------------------------------------------------- in turns
def measure(nodes: tuple[int, int, int], tiny: bool) -> list[dict[str, Any]]:
    """Microseconds per step of every contestant at one size."""
    from gpu_slab import slab, tissue

    peer = None if tiny else Peer(nodes)            # builds and compiles meanwhile
    operator = slab("slab", nodes, "consistent")
    built = {name: tissue(operator, nodes, precision, {}, {"method": method})
             for name, (precision, method) in OURS.items()}
    contestants: dict[str, Any] = {name: Contestant(made.loop()) for name, made in built.items()}
    if peer is not None:
        peer.wait()
        contestants[THEIRS] = peer
    steps = {}
    for name, contestant in contestants.items():
        say(f"{name}, {operator.n:,} nodes")
        contestant.take(2 if tiny else WARM_UP)
        per_step = contestant.take(1 if tiny else 20) / 20
        steps[name] = 1 if tiny else max(5, round(ROUND_S / per_step))
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(1 if tiny else ROUNDS):
        for name, contestant in contestants.items():
            seconds[name].append(contestant.take(steps[name]) / steps[name])
    rows = [{"code": name, "nodes": operator.n, "us_per_step": 1e6 * median(s),
             "node_steps_per_s": operator.n / median(s), "spread": (max(s) - min(s)) / median(s),
             "steps_per_turn": steps[name],
             "highest_mV": float(built[name].state.variable("V").max()) if name in built else None}
            for name, s in seconds.items()]
    if peer is not None:
        rows[-1] |= {"iterations_per_solve": peer.last["iterations"] / steps[THEIRS],
                     "highest_mV": peer.last["highest_mV"], **peer.about}
        for row in rows:
            row["times_faster"] = rows[-1]["us_per_step"] / row["us_per_step"]
        peer.close()
    return rows


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        worker((int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
        return
    call = settings(__doc__, 100.0)
    reason = missing()
    if reason and not call.emulated:
        print(f"gpu_torchcor.py: {reason}")
        sys.exit(3)
    from gpu_slab import shape_of

    rows: list[dict[str, Any]] = []
    left_out = []
    for size in TINY if call.emulated else SIZES:
        if call.budget.left < FOR_SET_UP and not call.emulated:
            left_out.append(f"{size:.0e} nodes")
            continue
        rows += measure(shape_of(size), call.emulated)
    head = stamp()
    lines = [*heading("Upstroke and TorchCor on one GPU", "gpu_torchcor.py", head),
             "Medians of rounds in turns, dt 0.05 ms, consistent mass, Crank-Nicolson, a wave under way.", "",
             "| code | nodes | us/step | spread | 1e6 node-steps/s | TorchCor's time / this |", "|---" * 6 + "|"]
    for r in rows:
        ratio = f"{r['times_faster']:.1f}" if "times_faster" in r else "-"
        lines.append(f"| {r['code']} | {r['nodes']:,} | {r['us_per_step']:.1f} | {100 * r['spread']:.0f} % | "
                     f"{r['node_steps_per_s'] / 1e6:.4g} | {ratio} |")
    if reason:
        lines += ["", f"Ours only: {reason}."]
    if left_out:
        lines += ["", f"Left out for time: {', '.join(left_out)}."]
    report("gpu_torchcor", {"made": head, "rows": rows, "left_out": left_out}, lines)


if __name__ == "__main__":
    main()

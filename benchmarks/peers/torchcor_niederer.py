"""Runs the Niederer slab with TorchCor (P1 finite elements, PyTorch) on the CPU and prints one line of JSON.

    python benchmarks/peers/torchcor_niederer.py --dx 0.2 --end 50 --threads 2 --mass consistent

Any Python will do: the script changes over to the environment that `benchmarks/peers/setup.sh` made.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import slab as niederer

STATES = {     # of the benchmark, where TorchCor calls the attribute other than NAME_init
    "m": "M_init", "h": "H_init", "j": "J_init", "f": "F_init", "f2": "F2_init", "fCass": "FCaSS_init", "s": "S_init",
    "r": "R_init", "R_": "R__init",
}
CONDUCTIVITY = {"il": 0.17, "it": 0.019, "el": 0.62, "et": 0.24}     # S/m; chi and C_m as TorchCor has them
NOTES = [
    "P1 tetrahedra (6 per cube), Crank-Nicolson, Jacobi-CG to 1e-5, tables, torch.compile",
    "fp32 states and fp64 CG, as its quick start sets it",
    "solve() is told half a step more than the end time and the stimulus half a step more than its duration, "
    "for both are compared with sums of dt; the stimulus has no period, which would fire it again in the last step",
]


def write_mesh(slab: niederer.Slab, folder: Path) -> None:
    """Writes slab.pts (um), slab.elem (6 tetrahedra per cube), slab.lon and the stimulated nodes as stimulus.vtx."""
    from itertools import permutations

    import numpy as np

    nodes = np.arange(slab.nodes).reshape(slab.shape)
    ijk = np.indices(slab.shape).reshape(3, -1).T
    low = ijk[(ijk < np.array(slab.shape) - 1).all(axis=1)]
    cells = []
    for axes in permutations(range(3)):     # one tetrahedron per way along edges from a cube's low corner to its high
        corners = [low]
        for axis in axes:
            corners.append(corners[-1] + np.eye(3, dtype=int)[axis])
        cells.append(np.column_stack([nodes[tuple(corner.T)] for corner in corners]))
    tetrahedra = np.vstack(cells)

    np.savetxt(folder / "slab.pts", ijk * slab.dx * 1000, fmt="%.6f", header=str(slab.nodes), comments="")
    np.savetxt(folder / "slab.elem", tetrahedra, fmt="Tt %d %d %d %d 1", header=str(len(tetrahedra)), comments="")
    np.savetxt(folder / "slab.lon", np.tile([1, 0, 0], (len(tetrahedra), 1)), fmt="%d", header="1", comments="")
    cube = np.flatnonzero((ijk < slab.stimulated).all(axis=1))
    np.savetxt(folder / "stimulus.vtx", cube, fmt="%d", header=f"{len(cube)}\nextra", comments="")


def main() -> None:
    args = niederer.arguments("The Niederer slab with TorchCor.", mass=("consistent", "lumped"))
    niederer.enter("torchcor")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""              # the comparison is one of CPUs
    os.environ["OMP_NUM_THREADS"] = str(args.threads)    # read when torch is imported
    notes = list(NOTES)
    with niederer.quiet(), tempfile.TemporaryDirectory() as folder:
        setup = niederer.Clock()
        import numpy as np
        import torch
        from torchcor.ionic import TenTusscherPanfilov
        from torchcor.simulator import Monodomain

        torch.set_num_threads(args.threads)
        if not shutil.which(os.environ.get("CXX", "g++")):
            torch._dynamo.config.suppress_errors = True
            notes.append("no C++ compiler here, so torch.compile falls back to the uncompiled model, which is slower")

        class Watched(Monodomain):
            """Records the watched nodes and the map after every step, and starts the clock after the first."""

            def step(self, *step_args: Any) -> tuple[torch.Tensor, int, float, float]:
                result = super().step(*step_args)
                self.rows.append(result[0][self.watched].numpy().astype(float))
                self.iterations += result[1]
                if len(self.rows) == 1:
                    self.setup_s, self.loop = setup.read()[0], niederer.Clock()
                everywhere.see(len(self.rows) * dt, result[0].numpy(), self.loop)
                return result

        slab, dt, steps = niederer.Slab(args.dx), args.dt, round(args.end / args.dt)
        everywhere = niederer.Everywhere(args.map, slab)
        write_mesh(slab, Path(folder))

        cell = TenTusscherPanfilov(cell_type="EPI", dt=dt, dtype=torch.float32)
        for state, value in niederer.INITIAL.items():
            name = STATES.get(state, f"{state}_init")
            if not hasattr(cell, name):
                niederer.fail(f"this version of TorchCor's TenTusscherPanfilov has no '{name}'; mend STATES")
            setattr(cell, name, value)
        whole = (steps + 0.5) * dt
        tissue = Watched(ionic_models=[cell], T=whole, dt=dt, device=torch.device("cpu"), dtype=torch.float32,
                         mass_lumping=args.mass == "lumped")
        tissue.rows, tissue.iterations = [], 0
        tissue.watched = torch.from_numpy(np.ravel_multi_index(np.array(slab.watched).T, slab.shape))
        tissue.load_mesh(folder)
        tissue.add_conductivity(None, **CONDUCTIVITY)
        tissue.add_stimulus(Path(folder) / "stimulus.vtx", start=0.0, duration=niederer.STIMULUS_END + 0.5 * dt,
                            intensity=niederer.STIMULUS, period=2 * whole)
        with contextlib.suppress(niederer.Complete):
            tissue.solve(a_tol=1e-5, r_tol=1e-5, max_iter=100, snapshot_interval=whole, verbose=False,
                         result_path=folder)
        loop_s, steps = tissue.loop.read(), len(tissue.rows)
        everywhere.save()

        times = dt * np.arange(steps + 1)
        potentials = np.vstack([np.full(len(slab.watched), niederer.INITIAL["V"]), *tissue.rows])
        notes.append(f"{tissue.iterations / steps:.2f} CG iterations per step")
    niederer.report("torchcor", args, slab, tissue.setup_s, loop_s, slab.activation(times, potentials), notes, steps,
                    mass=args.mass)


if __name__ == "__main__":
    main()

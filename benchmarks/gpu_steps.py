"""A whole step on a GPU against the number of nodes: finite elements and finite differences, every solver.

    python benchmarks/gpu_steps.py [--budget 150] [--emulated]

ten Tusscher-Panfilov cells on a slab with the conductivities of the Niederer benchmark, dx 0.2 mm, dt 0.05 ms, a wave
under way. A step is the reaction, the diffusion, and the observer of activation times. Reaction and observer are also
timed alone; the diffusion is the rest. Beside the time stands the part of it that moving the membrane's arrays once at
the measured copy bandwidth would take: no step can be shorter than that. Sizes go up until time or memory end: explicit
steps first, since the matrices of implicit ones take the host longer than the device needs for its steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from gpu_common import (
    Contestant,
    Limits,
    heading,
    measure_limits,
    memory_left,
    memory_used,
    report,
    say,
    settings,
    stamp,
    take_turns,
    timed,
)
from gpu_kernels import bytes_per_step
from gpu_slab import Tissue, shape_of, slab, tissue, unstructured

SIZES, TINY = (1e4, 2e4, 1e5, 1e6, 4e6, 1e7, 5e7), (200,)
WARM_UP = 100          # steps: 5 ms, so that a wave is under way
BYTES_PER_NODE = 800   # of the device, more than any variant needs: what is to be free before a size is begun


@dataclass(frozen=True)
class Variant:
    """A discretisation, its solver and its numbers; ``largest`` is the most nodes it is worth the time for."""

    mesh: str                  # "tetrahedra", "unstructured" or "grid"
    diffusion: str
    method: str
    precision: str
    largest: float = 1e8
    splitting: str = "godunov"

    @property
    def name(self) -> str:
        scheme = self.method if self.diffusion != "explicit" else "explicit"
        return f"{self.mesh}, {scheme}{', unsplit' if self.splitting == 'unsplit' else ''}, {self.precision}"

    @property
    def time(self) -> dict[str, str]:
        return {"diffusion": self.diffusion, "splitting": self.splitting}

    @property
    def solver(self) -> dict[str, str]:
        return {"method": self.method} if self.diffusion != "explicit" else {}


VARIANTS = (
    Variant("grid", "explicit", "", "fp32", splitting="unsplit"),
    Variant("grid", "explicit", "", "fp64", splitting="unsplit"),
    Variant("grid", "explicit", "", "fp64", 1.5e6),
    Variant("tetrahedra", "explicit", "", "fp64", 1.5e7),
    Variant("tetrahedra", "crank_nicolson", "chebyshev", "fp64"),
    Variant("tetrahedra", "crank_nicolson", "cg", "fp64"),
    Variant("tetrahedra", "crank_nicolson", "chebyshev", "fp32", 1.5e6),
    Variant("tetrahedra", "crank_nicolson", "cg", "fp32", 1.5e6),
    Variant("unstructured", "crank_nicolson", "chebyshev", "fp64", 1.5e6),
    Variant("unstructured", "crank_nicolson", "cg", "fp64", 1.5e6),
)


def build(variant: Variant, nodes: tuple[int, int, int], operators: dict[Any, Any]) -> Tissue:
    """The variant on a slab; operators of one size are shared."""
    explicit = variant.diffusion == "explicit"
    mass = "lumped" if explicit or variant.mesh == "grid" else 0.2
    make: dict[str, Callable[[], Any]] = {
        "grid": lambda: (slab("grid", nodes, "auto", explicit), None),
        "tetrahedra": lambda: (slab("slab", nodes, mass, explicit), None),
        "unstructured": lambda: unstructured(nodes, mass)}
    if (variant.mesh, mass) not in operators:
        operators.clear()                          # one at a time: they are large
        operators[variant.mesh, mass] = make[variant.mesh]()
    operator, order = operators[variant.mesh, mass]
    return tissue(operator, nodes, variant.precision, variant.time, variant.solver, order)


def measure(variant: Variant, nodes: tuple[int, int, int], operators: dict[Any, Any], limits: Limits,
            tiny: bool) -> dict[str, Any]:
    """Microseconds of a step, whole and in parts."""
    before = memory_used()
    made, setup_s = timed(lambda: build(variant, nodes, operators))
    n = made.state.n
    loop = made.loop()
    Contestant(loop).take(2 if tiny else WARM_UP)
    used = memory_used() - before
    counted = loop.clock.solves, loop.clock.iterations
    whole = _seconds(loop, tiny, first=2 if tiny else WARM_UP)
    solves = loop.clock.solves - counted[0]
    row = {"mesh": variant.mesh, "variant": variant.name, **asdict(variant), "nodes": n, "setup_s": setup_s,
           "us_per_step": 1e6 * whole.median, "spread": whole.spread, "node_steps_per_s": n / whole.median,
           "iterations_per_solve": (loop.clock.iterations - counted[1]) / solves if solves else 0.0,
           "device_bytes_per_node": used / n,
           "membrane_share": bytes_per_step(made.state.groups[0].kernel) * n / limits.copy / whole.median}
    observer = _seconds(made.backend.loop([made.observer]), tiny).median - limits.launch
    row["observer_us"] = 1e6 * max(observer, 0.0)
    if variant.splitting != "unsplit":
        reaction = _seconds(made.backend.loop([s for s in made.stages if s.name == "reaction"]), tiny).median
        row["reaction_us"] = 1e6 * max(reaction - limits.launch, 0.0)
        row["diffusion_us"] = max(row["us_per_step"] - row["reaction_us"] - row["observer_us"], 0.0)
    return row


def _seconds(loop: Any, tiny: bool, first: int = 0) -> Any:
    return take_turns({"": Contestant(loop, first)}, tiny)[""]


def main() -> None:
    call = settings(__doc__, 150.0)
    tiny, budget = call.emulated, call.budget
    limits = measure_limits(tiny)
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    cost: dict[Variant, float] = {}              # seconds per node that each variant took at its last size
    for size in TINY if tiny else SIZES:
        nodes, operators = shape_of(size), {}
        for variant in VARIANTS:
            expected = 2.0 + cost.get(variant, 0.0) * size
            name = f"{variant.name} at {size:.0e}"
            if size > variant.largest:
                continue
            if expected > budget.left and not tiny:
                left_out.append(f"{name} (time)")
                continue
            if not tiny and size * BYTES_PER_NODE > memory_left():
                left_out.append(f"{name} (memory)")
                continue
            say(name)
            row, seconds = timed(lambda v=variant, s=nodes, o=operators: measure(v, s, o, limits, tiny))
            cost[variant] = seconds / size
            rows.append(row)
    head = stamp()
    lines = [*heading("Whole steps on a GPU", "gpu_steps.py", head), *limits.lines(),
             "Medians of rounds; times of parts without the cost of an empty step. Bytes: device memory in all, per "
             "node.", "",
             "| variant | nodes | us/step | spread | 1e9 node-steps/s | reaction us | diffusion us | observer us | "
             "its/solve | membrane's memory | bytes/node |", "|---" * 11 + "|"]
    for r in sorted(rows, key=lambda r: (VARIANTS.index(_variant(r)), r["nodes"])):
        parts = [f"{r[key]:.1f}" if key in r else "-" for key in ("reaction_us", "diffusion_us", "observer_us")]
        lines.append(f"| {r['variant']} | {r['nodes']:,} | {r['us_per_step']:.1f} | {100 * r['spread']:.0f} % | "
                     f"{r['node_steps_per_s'] / 1e9:.3g} | {' | '.join(parts)} | {r['iterations_per_solve']:.1f} | "
                     f"{100 * r['membrane_share']:.0f} % | {r['device_bytes_per_node']:.0f} |")
    if left_out:
        lines += ["", f"Left out: {'; '.join(left_out)}."]
    report("gpu_steps", {"made": head, "limits": asdict(limits), "rows": rows, "left_out": left_out}, lines)


def _variant(row: dict[str, Any]) -> Variant:
    return next(v for v in VARIANTS if v.name == row["variant"])


if __name__ == "__main__":
    main()

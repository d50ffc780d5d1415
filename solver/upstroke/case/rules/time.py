"""Rules of [time] and [solver], and of what depends on steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from upstroke.case.rules.rule import Mistake, rule, whole_steps
from upstroke.case.schema import CableMesh, Case, Solver, TimeTable, Tissue, Watch


@rule(TimeTable, "end", "dt")
def end_is_whole_steps(end: float, dt: float) -> Iterator[Mistake]:
    yield from whole_steps(("end",), end, dt)


@rule(Case, "time", "watch")
def intervals_are_whole_steps(time: TimeTable, watch: Watch) -> Iterator[Mistake]:
    for name, watcher in (("probes", watch.probes), ("snapshots", watch.snapshots), ("ecg", watch.ecg)):
        if watcher is not None:
            yield from whole_steps(("watch", name, "every"), watcher.every, time.dt)


@rule(TimeTable, "splitting", "diffusion")
def unsplit_is_explicit(splitting: str, diffusion: str) -> Iterator[Mistake]:
    if splitting == "unsplit" and diffusion != "explicit":
        yield Mistake(("splitting",), f'"unsplit" steps are explicit, but diffusion is "{diffusion}"',
                      'set time.diffusion = "explicit" (and tissue.waves = "calibrated"), or take another splitting')


@rule(Case, "time", "tissue", "mesh")
def explicit_needs_lumped(time: TimeTable, tissue: Tissue | None, mesh: Any) -> Iterator[Mistake]:
    if tissue is None:
        return
    stencil = getattr(mesh, "stencil", None)
    waves = tissue.uncorrected(stencil)
    if (time.diffusion == "explicit" and not tissue.corrected(1 if isinstance(mesh, CableMesh) else 3, stencil)
            and waves not in ("fourth_order", "lumped", 1.0)):
        yield Mistake(("time", "diffusion"), f"\"explicit\" needs a lumped mass, but tissue.waves is {waves!r}",
                      'set tissue.waves = "calibrated" or "lumped", or diffusion = "crank_nicolson"')


@rule(Case, "tissue", "mesh")
def corrections_have_their_own_stencil(tissue: Tissue | None, mesh: Any) -> Iterator[Mistake]:
    full = getattr(mesh, "stencil", None) == "full"
    if full and tissue is not None and tissue.waves in ("calibrated", "fourth_order"):
        yield Mistake(("mesh", "stencil"), f'"full" does nothing with tissue.waves = "{tissue.waves}", which has a '
                      "stencil of its own", "remove mesh.stencil")


@rule(Case, "time", "solver")
def explicit_needs_no_solver(time: TimeTable, solver: Solver) -> Iterator[Mistake]:
    if time.diffusion == "explicit" and solver.method != "auto":
        yield Mistake(("solver", "method"), f'"{solver.method}" has nothing to solve with time.diffusion = "explicit"',
                      'remove solver.method, or set time.diffusion = "crank_nicolson"')

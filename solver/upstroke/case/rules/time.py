"""Rules of [time] and [solver], and of what depends on steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from upstroke.case.rules.rule import Mistake, rule, whole_steps
from upstroke.case.schema import CableMesh, Case, Solver, TimeTable, Tissue, Watch
from upstroke.case.schema.time import is_option

#: Options of PETSc that would say what other keys of [solver] say.
SAID_BY = dict.fromkeys(("ksp_rtol", "ksp_atol", "ksp_norm_type", "ksp_convergence_test"), "tolerance") | {
    "ksp_max_it": "max_iterations"}
GUESSES = ("ksp_guess_type", "ksp_initial_guess_nonzero")


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


@rule(Solver, "method", "petsc_options")
def options_are_petscs(method: str, petsc_options: str) -> Iterator[Mistake]:
    words, key = petsc_options.split(), ("petsc_options",)
    if words and method != "petsc":
        yield Mistake(key, f'does nothing with solver.method = "{method}"', 'set solver.method = "petsc", or remove it')
    names = [word[1:] for word in words if is_option(word)]
    stray = [word for before, word in zip(["", *words], words, strict=False)
             if not is_option(word) and not is_option(before)]
    if stray:
        yield Mistake(key, f'{stray[0]!r} is neither an option of PETSc, which starts with "-", nor the value of one',
                      'write it as on PETSc\'s command line: "-ksp_type cg -pc_type gamg"')
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Mistake(key, f"-{name} is there {names.count(name)} times", "leave one of them")
    for name in names:
        if name in SAID_BY:
            yield Mistake(key, f"-{name} is what solver.{SAID_BY[name]} says",
                          f"remove it, and set solver.{SAID_BY[name]}")
        elif name in GUESSES:
            yield Mistake(key, f"-{name}: the guess is extrapolated from the last three steps, which checkpoints hold",
                          "remove it")

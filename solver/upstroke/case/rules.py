"""What a case must fulfil beyond the types of its keys: one key against another.

A rule names the tables and keys it looks at. It runs once those keys have valid values, whatever else is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from upstroke.case.schema import (
    KINETICS,
    Box,
    Cable,
    CableMesh,
    Case,
    Compartments,
    ConductivityTable,
    Events,
    FileMesh,
    GridMesh,
    Membrane,
    MorphologyMesh,
    Probes,
    SectionsMesh,
    SheetMesh,
    Site,
    SlabMesh,
    Snapshots,
    Solver,
    Spikes,
    Stimulus,
    Synapse,
    TimeTable,
    Tissue,
    VoltageClamp,
    Watch,
)


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a key (its path from the rule's table), and what to do."""

    key: tuple[str | int, ...]
    what: str
    remedy: str = ""


Check = Callable[..., Iterator[Mistake]]


@dataclass(frozen=True)
class Rule:
    tables: tuple[type, ...]
    keys: tuple[str, ...]
    check: Check


RULES: list[Rule] = []


def rule(tables: type | tuple[type, ...], *keys: str) -> Callable[[Check], Check]:
    """Registers a check of some keys of a table (or of several classes of table); it is called with their values."""
    def register(check: Check) -> Check:
        RULES.append(Rule(tables if isinstance(tables, tuple) else (tables,), keys, check))
        return check
    return register


# --------------------------------------------------------------------------------------------------- mesh
@rule((SheetMesh, SlabMesh, GridMesh, FileMesh), "fibre", "sheet")
def fibre_and_sheet(fibre: Any, sheet: Any) -> Iterator[Mistake]:
    if isinstance(fibre, tuple) and not any(fibre):
        yield Mistake(("fibre",), "a direction of length 0", "for example fibre = [1, 0, 0]")
    if isinstance(sheet, tuple) and not any(sheet):
        yield Mistake(("sheet",), "a direction of length 0", "for example sheet = [0, 1, 0]")
    elif isinstance(fibre, tuple) and isinstance(sheet, tuple) and any(fibre):
        f, s = ([x / math.hypot(*v) for x in v] for v in (fibre, sheet))
        if abs(sum(a * b for a, b in zip(f, s, strict=True))) > 1.0 - 1e-12:
            yield Mistake(("sheet",), "is parallel to the fibre", "give a direction that lies across it")


@rule((SheetMesh, SlabMesh, GridMesh), "fibre", "sheet")
def sheet_needs_fibre(fibre: Any, sheet: Any) -> Iterator[Mistake]:
    if sheet is not None and fibre is None:
        yield Mistake(("sheet",), "a sheet direction without a fibre direction", "add fibre = [1, 0, 0]")


@rule(GridMesh, "size", "mask")
def grids_have_a_size(size: Any, mask: Any) -> Iterator[Mistake]:
    if size is None and mask is None:
        yield Mistake((), "says not how large", 'add size = ["20 mm", "7 mm"], or mask = "mask.npy"')


@rule(GridMesh, "size", "dx")
def grids_have_dx_per_axis(size: Any, dx: Any) -> Iterator[Mistake]:
    if size is not None and isinstance(dx, tuple) and len(dx) != len(size):
        yield Mistake(("dx",), f"{len(dx)} values, but size has {len(size)}", "give one value, or one per axis")


@rule(Compartments, "d_lambda", "max_length", "number")
def one_way_to_divide(*ways: Any) -> Iterator[Mistake]:
    given = [name for name, way in zip(("d_lambda", "max_length", "number"), ways, strict=True) if way is not None]
    if len(given) > 1:
        yield Mistake((given[1],), f"given together with {given[0]}", "keep one of the two")


# ------------------------------------------------------------------------------------------------- tissue
NEURONS = (MorphologyMesh, SectionsMesh)


@rule(Case, "tissue", "cable")
def coupled_somehow(tissue: Tissue | None, cable: Cable | None) -> Iterator[Mistake]:
    if tissue is None and cable is None:
        yield Mistake(("tissue",), "missing", "add a table [tissue] with conductivity and surface_to_volume, or for a "
                      "neuron [cable] with axial_resistivity")
    elif tissue is not None and cable is not None:
        yield Mistake(("cable",), "given together with tissue", "keep [cable] for a neuron, [tissue] for other meshes")


@rule(Case, "mesh", "tissue", "cable")
def coupled_as_the_mesh_is(mesh: Any, tissue: Tissue | None, cable: Cable | None) -> Iterator[Mistake]:
    neuron = isinstance(mesh, NEURONS)
    if neuron and tissue is not None and cable is None:
        yield Mistake(("tissue",), "the mesh is a neuron, which is no tissue",
                      "replace it by a table [cable] with axial_resistivity and capacitance")
    elif not neuron and cable is not None and tissue is None:
        yield Mistake(("cable",), f'the mesh is no neuron but of kind "{mesh.kind}"',
                      'add a table [tissue] instead, or take mesh.kind = "morphology" or "sections"')


@rule(ConductivityTable, "monodomain", "intracellular", "extracellular")
def one_way_to_give_conductivity(mono: Any, intra: Any, extra: Any) -> Iterator[Mistake]:
    if mono is not None and (intra is not None or extra is not None):
        yield Mistake(("monodomain",), "given together with intracellular or extracellular", "keep one of the two ways")
    elif mono is None and intra is None and extra is None:
        yield Mistake((), "no conductivity given", "add monodomain, or intracellular and extracellular")
    elif mono is None and (intra is None or extra is None):
        there, lacking = ("intracellular", "extracellular") if extra is None else ("extracellular", "intracellular")
        yield Mistake((there,), f"given without {lacking}", f"add {lacking}, or give monodomain values instead")
    elif mono is None and len(intra) != len(extra):
        yield Mistake(("extracellular",), f"not as many values ({len(extra)}) as intracellular ({len(intra)})",
                      "give the same number: 1 (isotropic), 2 (along, across) or 3 (fibre, sheet, normal)")


@rule(Tissue, "conductivity")
def regions_have_one_conductivity(tables: Sequence[ConductivityTable]) -> Iterator[Mistake]:
    yield from regions_once("conductivity", [table.regions for table in tables])


@rule(Case, "membrane")
def regions_have_one_membrane(tables: Sequence[Membrane]) -> Iterator[Mistake]:
    yield from regions_once("membrane", [table.regions for table in tables])


def regions_once(name: str, tables: Sequence[tuple[int | str, ...] | None]) -> Iterator[Mistake]:
    """No region in two tables of the array ``name``, and at most one table without regions."""
    first: dict[int | str | None, int] = {}
    for number, regions in enumerate(tables):
        for region in regions or (None,):
            if first.setdefault(region, number) != number or (regions or ()).count(region) > 1:
                if region is None:
                    yield Mistake((name, number), "a second table without regions",
                                  "only one table may stand for all the others; add regions to this one")
                else:
                    yield Mistake((name, number, "regions"), f"names region {region!r} a second time",
                                  "name each region once")
                    break


# ----------------------------------------------------------------------------------------------- membrane
@rule(Membrane, "parameters", "nodal")
def parameters_have_one_source(parameters: dict[str, Any], nodal: dict[str, str]) -> Iterator[Mistake]:
    for name in nodal:
        if name in parameters:
            yield Mistake(("nodal", name), "given in parameters, too", "keep one of the two")


# --------------------------------------------------------------------------------------------------- time
def whole_steps(key: tuple[str | int, ...], value: float, dt: float) -> Iterator[Mistake]:
    """``value`` must be a whole number (at least 1) of ``dt``, to 1e-9 relative."""
    if value / dt > 2.0**53:
        yield Mistake(key, f"{value:.12g} ms has more steps of {dt:.12g} ms than can be counted", "check both units")
        return
    steps = round(value / dt)
    if steps >= 1 and abs(value - steps * dt) <= 1e-9 * value:
        return
    below = math.floor(value / dt)
    good = [f'"{n * dt:.12g} ms"' for n in (below, below + 1) if n >= 1]
    yield Mistake(key, f"{value:.12g} ms is not a whole number of steps of {dt:.12g} ms", f"use {' or '.join(good)}")


@rule(TimeTable, "end", "dt")
def end_is_whole_steps(end: float, dt: float) -> Iterator[Mistake]:
    yield from whole_steps(("end",), end, dt)


@rule(Case, "time", "watch")
def intervals_are_whole_steps(time: TimeTable, watch: Watch) -> Iterator[Mistake]:
    for name, watcher in (("probes", watch.probes), ("snapshots", watch.snapshots)):
        if watcher is not None:
            yield from whole_steps(("watch", name, "every"), watcher.every, time.dt)


@rule(TimeTable, "splitting", "diffusion")
def unsplit_is_explicit(splitting: str, diffusion: str) -> Iterator[Mistake]:
    if splitting == "unsplit" and diffusion != "explicit":
        yield Mistake(("splitting",), f'"unsplit" steps are explicit, but diffusion is "{diffusion}"',
                      'set time.diffusion = "explicit" (and tissue.waves = "calibrated"), or take another splitting')


@rule(Case, "time", "cable")
def neurons_are_implicit(time: TimeTable, cable: Cable | None) -> Iterator[Mistake]:
    if cable is not None and time.diffusion == "explicit":
        yield Mistake(("time", "diffusion"), '"explicit" cannot be with [cable]: where branches of a neuron meet there '
                      "is no membrane, and no step is short enough", 'set diffusion = "crank_nicolson"')


IMPLICIT = {"implicit": "backward_euler", "staggered": "crank_nicolson"}      # splittings, and what they do to V


@rule(TimeTable, "splitting", "diffusion")
def implicit_splittings_have_their_own_diffusion(splitting: str, diffusion: str) -> Iterator[Mistake]:
    if splitting in IMPLICIT and diffusion not in (IMPLICIT[splitting], "crank_nicolson"):
        yield Mistake(("diffusion",), f'"{diffusion}" does nothing with splitting = "{splitting}", which has a scheme '
                      "of its own for V", "remove time.diffusion, or take another splitting")


@rule(Case, "time", "tissue", "mesh")
def implicit_splittings_need_trees(time: TimeTable, tissue: Tissue | None, mesh: Any) -> Iterator[Mistake]:
    if time.splitting not in IMPLICIT:
        return
    if isinstance(mesh, SheetMesh | SlabMesh | GridMesh):
        yield Mistake(("time", "splitting"), f'"{time.splitting}" solves on cables and trees, and the mesh is a '
                      f"{mesh.kind}", 'take splitting = "strang" or "godunov"')
    elif tissue is not None and tissue.waves not in ("lumped", 1.0):
        yield Mistake(("time", "splitting"), f'"{time.splitting}" needs a lumped mass, one compartment to a node, but '
                      f"tissue.waves is {tissue.waves!r}", 'set tissue.waves = "lumped", or take splitting = "strang"')


@rule(Case, "time", "solver")
def implicit_splittings_have_their_own_solver(time: TimeTable, solver: Solver) -> Iterator[Mistake]:
    if time.splitting in IMPLICIT and solver.method not in ("auto", "tree"):
        yield Mistake(("solver", "method"), f'"{solver.method}" does nothing with splitting = "{time.splitting}", '
                      "which eliminates along the branches", "remove solver.method, or take another splitting")


@rule(Case, "time", "membrane")
def implicit_splittings_advance_v(time: TimeTable, tables: Sequence[Membrane]) -> Iterator[Mistake]:
    for number, table in enumerate(tables):
        if time.splitting in IMPLICIT and isinstance(table.method, dict) and "V" in table.method:
            yield Mistake(("membrane", number, "method", "V"), f'a method of V does nothing with splitting = '
                          f'"{time.splitting}", which solves for V', "remove it, or take another splitting")


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


# ----------------------------------------------------------------------------------------------- stimulus
@rule(Box, "min", "max")
def box_corners(low: Sequence[float], high: Sequence[float]) -> Iterator[Mistake]:
    if len(low) != len(high):
        yield Mistake(("max",), f"not as many coordinates ({len(high)}) as min ({len(low)})", "give both corners alike")
        return
    for axis, a, b in zip("xyz", low, high, strict=False):
        if a > b:
            yield Mistake(("max",), f"lies below min along {axis} ({b:.12g} cm < {a:.12g} cm)", "swap the two")


@rule(Stimulus, "box", "sphere", "nodes", "region", "site")
def one_place(*places: Any) -> Iterator[Mistake]:
    names = ("box", "sphere", "nodes", "region", "site")
    given = [name for name, place in zip(names, places, strict=True) if place is not None]
    if not given:
        yield Mistake((), "says not where", "add one of box, sphere, nodes, region, site")
    elif len(given) > 1:
        yield Mistake((given[1],), f"given together with {given[0]}", "keep one; use one [[stimulus]] for each place")


@rule(Stimulus, "current", "volume_current", "total_current", "site")
def one_strength(current: float | None, volume: float | None, total: float | None, site: Any) -> Iterator[Mistake]:
    names = ("current", "volume_current", "total_current")
    given = [name for name, value in zip(names, (current, volume, total), strict=True) if value is not None]
    if not given:
        yield Mistake((), "says not how strong", 'add current = "35.7 uA/cm^2", or volume_current')
    elif len(given) > 1:
        yield Mistake((given[1],), f"given together with {given[0]}", "keep one of the two")
    elif total is not None and site is None:
        yield Mistake(("total_current",), "is for one compartment of a neuron",
                      'add site = { section = "soma", x = 0.5 }')


@rule(Case, "mesh", "stimulus", "watch")
def sites_are_on_neurons(mesh: Any, stimuli: Sequence[Stimulus], watch: Watch) -> Iterator[Mistake]:
    neuron = isinstance(mesh, NEURONS)
    for k, stimulus in enumerate(stimuli):
        if stimulus.site is not None and not neuron:
            yield Mistake(("stimulus", k, "site"), "the mesh is no neuron and has no sections",
                          "give a box or a sphere")
        if stimulus.volume_current is not None and neuron:
            yield Mistake(("stimulus", k, "volume_current"), "a neuron fills no volume",
                          'give current = "35.7 uA/cm^2", or total_current = "0.1 nA" at a site')
    for table, points in (("probes", watch.probes.points if watch.probes is not None else {}),
                          ("spikes", watch.spikes.points if watch.spikes is not None else {})):
        for name, point in points.items():
            if isinstance(point, Site) and not neuron:
                yield Mistake(("watch", table, "points", name), "the mesh is no neuron and has no sections",
                              'give coordinates, for example ["1 mm", "2 mm"]')


@rule(Stimulus, "count", "period")
def trains_need_a_period(count: int, period: float | None) -> Iterator[Mistake]:
    if count > 1 and period is None:
        yield Mistake(("count",), f"{count} pulses without a period", 'add period = "500 ms"')


@rule(Stimulus, "duration", "period")
def pulses_do_not_overlap(duration: float, period: float | None) -> Iterator[Mistake]:
    if period is not None and period < duration:
        yield Mistake(("period",), f"{period:.12g} ms is shorter than the pulse of {duration:.12g} ms",
                      "make the period longer or the duration shorter")


# --------------------------------------------------------------------------------- synapses, voltage clamps
@rule(Case, "mesh", "time", "synapse", "voltage_clamp")
def conductances_are_on_neurons(mesh: Any, time: TimeTable, synapses: Sequence[Synapse],
                                clamps: Sequence[VoltageClamp]) -> Iterator[Mistake]:
    for name, tables in (("synapse", synapses), ("voltage_clamp", clamps)):
        for k in range(len(tables)):
            if not isinstance(mesh, NEURONS):
                yield Mistake((name, k), f'the mesh is no neuron but of kind "{mesh.kind}"',
                              f'remove [[{name}]], or take mesh.kind = "morphology" or "sections"')
            elif time.splitting not in IMPLICIT:
                yield Mistake((name, k), f'its conductance belongs into the matrix of V, which splitting = '
                              f'"{time.splitting}" has not', 'set time.splitting = "staggered" or "implicit"')


@rule(Synapse, "site", "region", "seed")
def synapses_have_one_place(site: Any, region: Any, seed: int | None) -> Iterator[Mistake]:
    if site is None and region is None:
        yield Mistake((), "says not where", 'add site = { section = "soma", x = 0.5 }, or region = "apical"')
    elif site is not None and region is not None:
        yield Mistake(("region",), "given together with site", "keep one; use one [[synapse]] for each place")
    elif seed is not None and region is None:
        yield Mistake(("seed",), "nothing is drawn at a site", "remove it; events.seed is that of the trains")


@rule(Synapse, "kind", "tau_rise", "tau_decay", "magnesium")
def synapses_have_their_time_constants(kind: str, rise: float | None, decay: float | None,
                                       magnesium: float | None) -> Iterator[Mistake]:
    if kind in ("expsyn", "exp2syn") and decay is None:
        yield Mistake(("tau_decay",), f'"{kind}" needs it', 'add tau_decay = "5 ms"')
    if kind == "exp2syn" and rise is None:
        yield Mistake(("tau_rise",), '"exp2syn" needs it', 'add tau_rise = "0.5 ms", or take kind = "expsyn"')
    if kind == "expsyn" and rise is not None:
        yield Mistake(("tau_rise",), '"expsyn" rises at once', 'remove it, or take kind = "exp2syn"')
    if kind != "nmda" and magnesium is not None:
        yield Mistake(("magnesium",), f'does nothing to "{kind}"', 'remove it, or take kind = "nmda"')
    if kind != "expsyn":
        own_rise, own_decay, _ = KINETICS[kind]
        rise, decay = rise or own_rise, decay or own_decay
        if rise and decay and rise >= decay:
            yield Mistake(("tau_rise",), f"{rise:.12g} ms is not shorter than the decay of {decay:.12g} ms",
                          "make the rise shorter or the decay longer")


@rule(Events, "times", "rate", "file", "start", "end", "seed")
def one_kind_of_events(times: Any, rate: Any, file: Any, start: float, end: float | None,
                       seed: int | None) -> Iterator[Mistake]:
    given = [name for name, value in (("times", times), ("rate", rate), ("file", file)) if value is not None]
    if not given:
        yield Mistake((), "says not when", 'add one of times, rate, file, for example rate = "5 /s"')
    elif len(given) > 1:
        yield Mistake((given[1],), f"given together with {given[0]}", "keep one; use one [[synapse]] for each")
    elif rate is None:
        for name, value in (("start", start or None), ("end", end), ("seed", seed)):
            if value is not None:
                yield Mistake((name,), f"does nothing with {given[0]}", "remove it; it belongs to a Poisson process")
    elif end is not None and end <= start:
        yield Mistake(("end",), f"{end:.12g} ms is not after the start at {start:.12g} ms", "make the end later")


@rule(VoltageClamp, "levels", "durations")
def levels_have_durations(levels: Sequence[float], durations: Sequence[float]) -> Iterator[Mistake]:
    if len(levels) != len(durations):
        yield Mistake(("durations",), f"not as many ({len(durations)}) as levels ({len(levels)})",
                      "give each level a duration")


# -------------------------------------------------------------------------------------------------- watch
@rule((Probes, Snapshots), "variables")
def variables_once(variables: Sequence[str]) -> Iterator[Mistake]:
    for name in dict.fromkeys(variables):
        if variables.count(name) > 1:
            yield Mistake(("variables",), f"names {name} {variables.count(name)} times", "name each variable once")


@rule((Probes, Spikes), "points")
def probes_have_points(points: dict[str, Any]) -> Iterator[Mistake]:
    if not points:
        yield Mistake(("points",), "no point given", 'for example points = { P1 = ["0 mm", "0 mm", "0 mm"] }')

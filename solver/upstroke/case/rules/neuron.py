"""Rules of neurons: their mesh, synapses and clamps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from upstroke.case.rules.implicit import IMPLICIT
from upstroke.case.rules.rule import Mistake, regions_once, rule
from upstroke.case.schema import (
    KINETICS,
    Cable,
    CableRegion,
    Case,
    Compartments,
    Drawn,
    Events,
    Membrane,
    MorphologyMesh,
    NetworkMesh,
    Population,
    Section,
    SectionsMesh,
    Site,
    Stimulus,
    Synapse,
    TimeTable,
    VoltageClamp,
    Watch,
)

NEURONS = (MorphologyMesh, SectionsMesh, NetworkMesh)
TYPES = ("undefined", "soma", "axon", "basal", "apical")       # regions that every neuron may have


@rule(Compartments, "d_lambda", "max_length", "number")
def one_way_to_divide(*ways: Any) -> Iterator[Mistake]:
    given = [name for name, way in zip(("d_lambda", "max_length", "number"), ways, strict=True) if way is not None]
    if len(given) > 1:
        yield Mistake((given[1],), f"given together with {given[0]}", "keep one of the two")


@rule(Section, "length", "diameter", "capacitance", "parent", "coupling", "levels")
def a_section_has_a_shape_or_a_capacitance(length: float | None, diameter: Any, capacitance: float | None,
                                           parent: str | None, coupling: float | None, levels: int
                                           ) -> Iterator[Mistake]:
    lacking = [name for name, value in (("length", length), ("diameter", diameter)) if value is None]
    if capacitance is None and lacking:
        yield Mistake((lacking[0],), "missing", f'add {lacking[0]} = "20 um", or give a compartment without a shape '
                      'its capacitance = "100 pF"')
    elif capacitance is not None and len(lacking) < 2:
        yield Mistake(("capacitance",), "given together with its shape", "keep capacitance, or length and diameter")
    elif capacitance is not None and parent is not None and coupling is None:
        yield Mistake(("coupling",), "missing: a compartment without a shape has no axial resistance",
                      'add coupling = "15 nS"')
    if coupling is not None and parent is None:
        yield Mistake(("coupling",), "the section has no parent", "remove it, or add parent")
    if levels > 1 and (coupling is not None or capacitance is not None):
        yield Mistake(("levels",), "a tree by rule has shapes that couple it", "give single sections a coupling")


@rule(SectionsMesh, "section", "compartments")
def without_a_shape_nothing_divides_and_nothing_starts(sections: Sequence[Section], compartments: Compartments
                                                       ) -> Iterator[Mistake]:
    shapeless = [section.name for section in sections if section.capacitance is not None]
    for k, section in enumerate(sections):
        if section.parent in shapeless and section.coupling is None and section.capacitance is None:
            yield Mistake(("section", k, "coupling"), f"missing: {section.parent!r} has no shape, and so no axial "
                          "resistance", 'add coupling = "15 nS"')
    if shapeless and compartments.number != 1:
        yield Mistake(("compartments",), f"section {shapeless[0]!r} has no shape that could be divided",
                      "set compartments.number = 1")


@rule(Cable, "region")
def regions_have_one_table(tables: Sequence[CableRegion]) -> Iterator[Mistake]:
    yield from regions_once("region", [table.regions for table in tables])


@rule(CableRegion, "axial_resistivity", "capacitance", "area_factor")
def regions_differ(resistivity: float | None, capacitance: float | None, area_factor: float) -> Iterator[Mistake]:
    if resistivity is None and capacitance is None and area_factor == 1.0:
        yield Mistake((), "changes nothing", "add axial_resistivity, capacitance or area_factor, or remove the table")


@rule(NetworkMesh, "population")
def populations_have_names(populations: Sequence[Population]) -> Iterator[Mistake]:
    names = [population.name for population in populations]
    for k, name in enumerate(names):
        if not name or "." in name:
            yield Mistake(("population", k, "name"), "a name has at least one letter, and no dot",
                          'for example name = "pyr"; "pyr.soma" is a region of it')
        elif name in TYPES:
            yield Mistake(("population", k, "name"), "is the name of a type of sections, which is a region",
                          "give the population another name")
        elif name in names[:k]:
            yield Mistake(("population", k, "name"), f"there is a population {name!r} already", "give it another name")


@rule(Population, "spacing", "positions")
def one_way_to_stand(spacing: float | None, positions: Any) -> Iterator[Mistake]:
    if spacing is not None and positions is not None:
        yield Mistake(("positions",), "given together with spacing", "keep one of the two")


@rule(Drawn, "normal", "lognormal", "uniform", "file", "seed")
def one_way_to_draw(normal: Any, lognormal: Any, uniform: Any, file: Any, seed: int | None) -> Iterator[Mistake]:
    ways = {"normal": normal, "lognormal": lognormal, "uniform": uniform, "file": file}
    given = [name for name, way in ways.items() if way is not None]
    if not given:
        yield Mistake((), "says not how", "add one of normal, lognormal, uniform, file, for example "
                      "normal = [120, 12]")
    elif len(given) > 1:
        yield Mistake((given[1],), f"given together with {given[0]}", "keep one of the two")
    elif file is not None and seed is not None:
        yield Mistake(("seed",), "nothing is drawn from a file", "remove it")
    elif given[0] in ("normal", "lognormal") and ways[given[0]][1] < 0.0:
        yield Mistake((given[0],), f"the standard deviation is {ways[given[0]][1]:.12g}", "give one of 0 or more")
    elif lognormal is not None and lognormal[0] <= 0.0:
        yield Mistake(("lognormal",), f"the median is {lognormal[0]:.12g}", "give one above 0")
    elif uniform is not None and uniform[1] < uniform[0]:
        yield Mistake(("uniform",), f"lowest {uniform[0]:.12g} is above highest {uniform[1]:.12g}", "swap the two")


@rule(Case, "cable", "membrane")
def one_temperature(cable: Cable | None, membranes: Sequence[Membrane]) -> Iterator[Mistake]:
    if cable is None or cable.temperature is None:
        return
    for k, table in enumerate(membranes):
        keys: list[tuple[str | int, ...]] = [*(("parameters", key) for key in table.parameters),
                                             *(("nodal", key) for key in table.nodal)]
        if isinstance(table.plugins, dict):
            keys += [("plugins", plugin, key) for plugin, values in table.plugins.items() for key in values]
        for path in keys:
            if str(path[-1]).rpartition(".")[2] == "celsius":
                yield Mistake(("membrane", k, *path), f"cable.temperature is {cable.temperature:.12g} degC already",
                              "keep one of the two")


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
    if watch.activation.at == "cells" and not neuron:
        yield Mistake(("watch", "activation", "at"), '"cells", but the mesh is no neuron', 'set at = "nodes"')
    for table, points in (("probes", watch.probes.points if watch.probes is not None else {}),
                          ("spikes", watch.spikes.points if watch.spikes is not None else {})):
        for name, point in points.items():
            if isinstance(point, Site) and not neuron:
                yield Mistake(("watch", table, "points", name), "the mesh is no neuron and has no sections",
                              'give coordinates, for example ["1 mm", "2 mm"]')


@rule(Case, "mesh", "time", "synapse", "voltage_clamp", "gap_junction", "noise")
def conductances_are_on_neurons(mesh: Any, time: TimeTable, *arrays: Sequence[Any]) -> Iterator[Mistake]:
    for name, tables in zip(("synapse", "voltage_clamp", "gap_junction", "noise"), arrays, strict=True):
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


@rule(Events, "times", "rate", "file", "source", "start", "end", "seed")
def one_kind_of_events(times: Any, rate: Any, file: Any, source: Any, start: float, end: float | None,
                       seed: int | None) -> Iterator[Mistake]:
    given = [name for name, value in (("times", times), ("rate", rate), ("file", file), ("source", source))
             if value is not None]
    if not given:
        yield Mistake((), "says not when", 'add one of times, rate, file, source, for example rate = "5 /s"')
    elif len(given) > 1:
        yield Mistake((given[1],), f"given together with {given[0]}", "keep one; use one [[synapse]] for each")
    elif rate is None:
        for name, value in (("start", start or None), ("end", end), ("seed", None if source else seed)):
            if value is not None:
                yield Mistake((name,), f"does nothing with {given[0]}", "remove it; it belongs to a Poisson process")
    elif end is not None and end <= start:
        yield Mistake(("end",), f"{end:.12g} ms is not after the start at {start:.12g} ms", "make the end later")


@rule(Case, "membrane", "cable")
def neurons_are_not_paced_before(membrane: Sequence[Membrane], cable: Cable | None) -> Iterator[Mistake]:
    for k, table in enumerate(membrane):
        if cable is not None and table.prepace is not None:
            yield Mistake(("membrane", k, "prepace"), "is for tissue: a neuron's compartments are not single cells",
                          "remove it, and let the run begin with what is to be past")


@rule(VoltageClamp, "levels", "durations")
def levels_have_durations(levels: Sequence[float], durations: Sequence[float]) -> Iterator[Mistake]:
    if len(levels) != len(durations):
        yield Mistake(("durations",), f"not as many ({len(durations)}) as levels ({len(levels)})",
                      "give each level a duration")

"""What `upstroke check` says of a case: resolved keys, sizes, stability limits, estimates; the run takes no step."""

from __future__ import annotations

import math
from time import perf_counter

import numpy as np

from upstroke.case import Case, to_toml
from upstroke.mesh.locate import cells_of_regions
from upstroke.mesh.strands import Strands
from upstroke.mesh.tree import Population, Tree
from upstroke.observe.activation import watched
from upstroke.observe.ecg import ecg_notes
from upstroke.observe.probes import far_note, place_probes
from upstroke.run import prepare
from upstroke.setup import Setup
from upstroke.space import Extracellular
from upstroke.space.conductivity import diffusivity
from upstroke.space.resolution import coarseness
from upstroke.step.state import State

TRIAL_NODES = {"cpu": 2 ** 12, "cuda": 2 ** 18}   # nodes of the trial that the time estimate is scaled from
TRIAL_SECONDS = 0.3
AT_ONCE = 8               # steps of the trial between looks at the time
STEP_SECONDS = 1e-4       # what a step costs however few its nodes
COARSE_LUMPED, COARSE = 0.2, 1.5   # ms: h^2/D above which fronts are slow (docs/architecture.md has the measurement)
WATCHED = 90              # bytes of a node for its activation times, with the rows that are kept ready on a GPU
PROGRAM = 170 * 2 ** 20   # bytes of Python and its packages


def check(case: Case) -> str:
    """The resolved case as TOML, with what it will take as comment lines.

    Raises
    ------
    UpstrokeError as the run would, before anything is written
    """
    setup = prepare(case)
    lines = [to_toml(case), "# --- what this case will take " + "-" * 60]
    lines += [f"# {text}" for text in (*_sizes(setup), *_limits(setup), *_estimates(setup))]
    notes = list(setup.notes)
    if case.watch.probes is not None:
        notes += filter(None, (far_note(probe, setup.mesh) for probe in place_probes(case.watch.probes, setup.mesh)))
    if case.watch.ecg is not None and case.tissue is not None:
        notes += ecg_notes(case.watch.ecg, setup.mesh, Extracellular(case.tissue, setup.mesh))
    lines += [f"# note: {note}" for note in notes]
    return "\n".join(lines)


def _sizes(setup: Setup) -> list[str]:
    mesh, stepper = setup.mesh, setup.stepper
    low, high = mesh.points.min(axis=0) * 10, mesh.points.max(axis=0) * 10
    trains = [train.describe() for train in stepper.stimuli.trains]
    return [f"mesh: {mesh.n_points:,} nodes, {mesh.n_cells:,} {mesh.cell_name}, "
            + " x ".join(f"{x:g}" for x in high - low) + " mm",
            *(_strands(setup, mesh.purkinje) if mesh.purkinje is not None else []),
            *(_sections(mesh.tree) if mesh.tree is not None else []), *_cable_regions(setup), *_membranes(setup),
            f"steps: {stepper.n_steps:,} of {setup.case.time.dt:g} ms", *trains,
            *stepper.conductances.describe()]


def _cable_regions(setup: Setup) -> list[str]:
    """What differs from [cable] where: a line for each of its regions."""
    cable, tree, lines = setup.case.cable, setup.mesh.tree, []
    if cable is None or tree is None:
        return []
    for k, table in enumerate(cable.region):
        area = tree.area[setup.mesh.cells[cells_of_regions(setup.mesh, table.regions), 1]]
        Ra, C_m = table.axial_resistivity or cable.axial_resistivity, table.capacitance or cable.capacitance
        factor = f" ({table.area_factor:g} times the cones')" if table.area_factor != 1.0 else ""
        lines.append(f"cable.region.{k}, {', '.join(map(str, table.regions))}: {(area > 0.0).sum():,} compartments, "
                     f"{1e8 * area.sum():,.6g} um^2 of membrane{factor}, Ra {1e3 * Ra:g} ohm*cm, C_m {C_m:g} uF/cm^2")
    return lines


def _strands(setup: Setup, strands: Strands) -> list[str]:
    """A line for each Purkinje tree. A junction's delay is about R C, with C that of the tissue it is joined to."""
    mesh, tissue = setup.mesh, setup.case.tissue
    assert tissue is not None                                               # the case was checked
    lines = []
    length = np.linalg.norm(mesh.points[strands.lines[:, 0]] - mesh.points[strands.lines[:, 1]], axis=1)
    volume = setup.operator.lumped_mass[setup.state.rank[strands.junction[:, 1]]]
    for tag in np.unique(strands.tag):
        name = next(name for name, known in mesh.region_names.items() if known == tag)
        mine, pairs = strands.region == tag, strands.tag[strands.junction[:, 0] - strands.first] == tag
        _, end, nodes = np.unique(strands.junction[pairs, 0], return_inverse=True, return_counts=True)
        joined = ": none"
        if len(nodes):
            C = tissue.capacitance * tissue.surface_to_volume * np.bincount(end, volume[pairs])
            RC = C / np.bincount(end, strands.coupling[pairs])
            joined = (f": {len(nodes):,}, each with {nodes.min()} to {nodes.max()} nodes of tissue; R C is "
                      f"{RC.min():.2g} to {RC.max():.2g} ms, the order of the delay where a wave passes")
        lines.append(f"Purkinje tree {name!r}: {(strands.tag == tag).sum():,} nodes, {10 * length[mine].sum():.4g} mm "
                     f"of strands; junctions{joined}")
    return lines


def _sections(tree: Tree) -> list[str]:
    """What was built of neurons: of each population a line, and a line for each section of its cells."""
    return [line for population in tree.populations for line in _sections_of(population, tree)]


def _sections_of(population: Population, tree: Tree) -> list[str]:
    cell = slice(population.first_node, population.first_node + population.n_nodes)
    sections, area = population.sections, tree.area[cell]
    what = f"population {population.name!r}: {population.count:,} cells of" if population.name else "neuron:"
    lines = [f"{what} {len(sections):,} sections, {(area > 0.0).sum():,} compartments, {1e8 * area.sum():,.6g} um^2, "
             f"up to {1e4 * tree.distance[cell].max():,.5g} um from the soma or the start"]
    width = max(len(section.name) for section in sections)
    for s in sections:
        at = f"on {sections[s.parent].name}({s.parent_x:g})" if s.parent >= 0 else "root"
        mean = s.area / (math.pi * s.length)
        lines.append(f"  {s.name:<{width}}  {s.type:<8} {at:<{width + 8}} {1e4 * s.length:>9.5g} um x "
                     f"{1e4 * mean:<7.4g} um {1e8 * s.area:>10.6g} um^2 {s.n_compartments:>5} compartments")
    return lines


def _membranes(setup: Setup) -> list[str]:
    """A line for each membrane, with its nodes where there are several."""
    lines = []
    for k, (membrane, group) in enumerate(zip(setup.membranes, setup.state.groups, strict=True)):
        name, nodes = "membrane", group.end - group.begin
        text = f"{membrane.model.name}, {len(membrane.kernel.states) + 1} states a node"
        if len(setup.membranes) > 1:
            name, text = f"membrane.{k}", f"{text}, {nodes:,} nodes"
        for row, parameter in enumerate(membrane.kernel.nodal):
            values = setup.backend.to_host(group.arrays["N"][row])[:nodes]
            text += f", {parameter} {values.min():.4g} to {values.max():.4g}"
        lines.append(f"{name}: {text}")
    return lines


def _limits(setup: Setup) -> list[str]:
    """Stability of explicit diffusion, and how well the mesh resolves a front: q = h^2 / D in ms; none of a neuron."""
    tissue = setup.case.tissue
    if tissue is None:
        return []
    explicit = setup.operator.explicit_limit
    lines = [f"stability: explicit diffusion needs dt <= {explicit:.4g} ms; implicit schemes have no limit"]
    mesh = setup.mesh.tissue
    q = float(coarseness(mesh, diffusivity(tissue, mesh)).max())
    limit = COARSE_LUMPED if setup.operator.is_lumped else COARSE
    slow = (f"; above about {limit:g} ms a front as steep as tenTusscherPanfilov's runs more than 5 % too slowly "
            '(tissue.waves = "calibrated" mends it)')
    uncorrected = not setup.curves and tissue.waves != "fourth_order"
    lines.append(f"resolution: h^2/D is at most {q:.3g} ms" + (slow if q > limit and uncorrected else ""))
    return lines


def _estimates(setup: Setup) -> list[str]:
    operator, mesh, backend = setup.operator, setup.mesh, setup.backend
    matrix = operator.stiffness.data.nbytes + operator.stiffness.indices.nbytes       # K; M, A and its slices likewise
    cells = mesh.cells.nbytes + (9 + 3) * 8 * mesh.n_cells                            # with diffusivity and fibre
    nodes = mesh.points.nbytes + setup.state.nbytes + 10 * 8 * operator.n             # with the solver's vectors
    memory = PROGRAM + nodes + cells + 4 * matrix
    seen = len(watched(setup.case.watch.activation, setup.state.rank, mesh.tree)[0])
    device = [f"GPU memory: {taken / 2 ** 20:,.0f} MiB, and about {WATCHED * seen / 2 ** 20:,.0f} for activation "
              f"times; {free / 2 ** 20:,.0f} MiB are left" for taken, free in filter(None, [backend.memory()])]
    seconds = (STEP_SECONDS + 2.0 * _reaction_seconds(setup)) * setup.stepper.n_steps
    hours, rest = divmod(round(seconds), 3600)
    clock = f"{seconds:.1f} s" if seconds < 100 else f"{hours} h {rest // 60} min {rest % 60} s"
    who = f"{backend.threads} threads" if backend.name == "cpu" else f"the {backend.describe()['processor']}"
    return [f"memory: about {memory / 2 ** 20:,.0f} MiB", *device,
            f"time: about {clock} on {who} (from a trial of the membrane kernel on this machine, doubled for the "
            "diffusion)"]


def _reaction_seconds(setup: Setup) -> float:
    """Wall seconds of one reaction step of all nodes, from a trial of each membrane on a few nodes at rest."""
    backend, time = setup.backend, setup.case.time
    seconds, nodes = 0.0, TRIAL_NODES[backend.name]
    for membrane, group in zip(setup.membranes, setup.state.groups, strict=True):
        trial, = State([(membrane.kernel, membrane.initial, nodes)], backend).groups
        C_m = setup.case.coupling.capacitance
        loop = backend.loop([backend.membrane(trial.kernel.source, trial.arrays, C_m, time.dt,
                                              steps=time.reaction_steps)])
        start, rounds = perf_counter(), 0
        while (elapsed := perf_counter() - start) < TRIAL_SECONDS / len(setup.membranes):
            for n in range(rounds, rounds + AT_ONCE):
                loop.run(n)
            loop.sync()
            rounds += AT_ONCE
        seconds += elapsed / (rounds * nodes) * (group.end - group.begin)
    return seconds

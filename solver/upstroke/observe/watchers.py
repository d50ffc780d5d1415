"""What a run looks at while it steps: one object per table of ``[watch]``, all with ``see`` and ``close``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from upstroke.backend import Stage
from upstroke.case.schema import Tips, Tissue, Watch
from upstroke.errors import CaseError, did_you_mean
from upstroke.mesh.mesh import Mesh
from upstroke.observe.activation import ActivationMap, ActivationWatcher
from upstroke.observe.ecg import EcgWatcher, check_ecg
from upstroke.observe.probes import Probe, ProbeWatcher, place_probes
from upstroke.observe.quiet import QuietWatcher
from upstroke.observe.snapshots import SnapshotWatcher, part_of
from upstroke.observe.spikes import SpikeWatcher
from upstroke.observe.tips import DELAY, TipWatcher, check_tips

PHI_E = "phi_e"       # the extracellular potential, which no state has: it is recovered from V


class Watcher(Protocol):
    """The host's part of looking at the state; cheap when nothing is due."""

    def see(self, n: int, t: float) -> None:
        """After step n = 0 (the initial state), 1, ..., at t = n dt (ms)."""

    def close(self) -> None:
        """At the end of the run, or where it was interrupted."""

    def memory(self) -> dict[str, Any]:
        """Arrays and JSON's types by name: what `recall` needs to go on from here."""

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from where an earlier run was, whose files are there still."""


class ActivationSeen(Watcher, Protocol):
    """A watcher that knows when nodes were activated."""

    def map(self) -> ActivationMap:
        """The map as far as the run has come."""


class Series(Protocol):
    """A file of fields over time, frame by frame (``output.vtkhdf.VtkHdfSeries``)."""

    frames: int      # that are in it

    def append(self, t: float, fields: dict[str, NDArray[Any]]) -> None:
        """One frame: time in ms, (n,) values of every variable."""

    def go_on(self, frames: int) -> None:
        """Let the file have so many frames, and go on after them."""

    def close(self) -> None:
        """No more frames."""


@dataclass(frozen=True)
class Watchers:
    """All that look; iterate over them to see a step."""

    activation: ActivationSeen
    stages: tuple[Stage, ...]          # what they do in every step
    others: tuple[Watcher, ...] = ()
    probes: tuple[Probe, ...] = ()     # where the case reads variables
    notes: tuple[str, ...] = ()        # what the user should know
    spikes: SpikeWatcher | None = None
    quiet: QuietWatcher | None = None
    tips: TipWatcher | None = None
    ecg: EcgWatcher | None = None

    @property
    def at_rest(self) -> bool:
        """Whether the run may end before its time."""
        return self.quiet is not None and self.quiet.at_rest

    def __iter__(self) -> Iterator[Watcher]:
        return iter((self.activation, *self.others))

    def see(self, n: int, t: float) -> None:
        for watcher in self:
            watcher.see(n, t)

    def memory(self) -> dict[str, Any]:
        """What all of them remember, by names that tell whose it is."""
        return {f"{k}.{name}": value for k, watcher in enumerate(self) for name, value in watcher.memory().items()}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Let all go on from where those of an earlier run were."""
        for k, watcher in enumerate(self):
            watcher.recall({name.partition(".")[2]: value for name, value in memory.items()
                            if name.partition(".")[0] == str(k)})

    def close(self) -> None:
        """Close all, whatever one of them raises."""
        with ExitStack() as stack:
            for watcher in self:
                stack.callback(watcher.close)


class NoSeries:
    """What processes that share a run write, but for the first: nothing."""

    frames = 0

    def __init__(self, *_: Any) -> None:
        pass

    def append(self, t: float, fields: dict[str, NDArray[Any]]) -> None:
        self.frames += 1

    def go_on(self, frames: int) -> None:
        self.frames = frames

    def close(self) -> None:
        pass


def open_watchers(section: Watch, mesh: Mesh, state: Any, backend: Any, dt: float, directory: Path | None, *,
                  steps: int, series: Callable[..., Series], tissue: Tissue | None = None,
                  quiet_after: float = 0.0, activation: ActivationSeen | None = None) -> Watchers:
    """Build every watcher that the table ``[watch]`` asks for.

    Arguments
    ---------
    state : ``V``, ``names``, ``pieces``, ``arrange``, ``order`` and ``rank`` of ``step.State``
    tissue : needed where an electrogram is asked for
    dt, steps : time step in ms, number of steps of the whole run
    directory : the run directory; ``probes.csv``, ``vm.vtkhdf`` and the like go there; None to write nothing
    series : opens a time series, given its path, mesh, variables and number of frames
    quiet_after : ms, when the last stimulus is over
    activation : what watches activation, where that has a stage already

    Raises
    ------
    CaseError for intervals that are no whole number of steps, unknown variables, regions and places
    """
    def path(name: str) -> Path | None:
        return None if directory is None else directory / name

    from upstroke.space import Extracellular  # brings SciPy

    check_watch(section, mesh, state.names, dt, tissue)
    outside = None if tissue is None else Extracellular(tissue, mesh)
    others: list[Watcher] = []
    stages: list[Stage] = []
    places: tuple[Probe, ...] = ()
    notes: tuple[str, ...] = ()
    if section.probes is not None:
        every = whole_steps("watch.probes.every", section.probes.every, dt)
        probes = ProbeWatcher(section.probes, mesh, state, backend, every, dt, path("probes.csv"))
        stages.append(probes.stage)
        places, notes = probes.probes, probes.notes
        others.append(probes)
    spikes = None
    if section.spikes is not None:
        spikes = SpikeWatcher(section.spikes, mesh, state, backend, dt, path("spikes.csv"))
        stages.append(spikes.stage)
        others.append(spikes)
    if section.snapshots is not None:
        every = whole_steps("watch.snapshots.every", section.snapshots.every, dt)
        others.append(SnapshotWatcher(section.snapshots, mesh, state, backend, every, steps, path("vm.vtkhdf"),
                                      NoSeries if directory is None else series,
                                      {} if outside is None else {PHI_E: outside.potential}))
    quiet = None
    if section.stop_when_quiet is not None:
        quiet = QuietWatcher(section.stop_when_quiet, state, backend, quiet_after, dt)
        others.append(quiet)
    ecg = None
    if section.ecg is not None and tissue is not None and outside is not None:
        every = whole_steps("watch.ecg.every", section.ecg.every, dt)
        ecg = EcgWatcher(section.ecg, mesh, tissue, outside, state, backend, every, dt, path("ecg.csv"))
        stages += ecg.stages
        notes += ecg.notes
        others.append(ecg)
    tips = None
    if section.tips is not None:
        every, delay = tip_steps(section.tips, dt)
        tips = TipWatcher(section.tips, mesh, state, backend, every, delay, directory)
        others.append(tips)
    if activation is None:
        activation = every_node = ActivationWatcher(section.activation, state, backend, dt, mesh.tree)
        stages.insert(0, every_node.stage)
    return Watchers(activation, tuple(stages), tuple(others), places, notes, spikes, quiet, tips, ecg)


def check_watch(section: Watch, mesh: Mesh, names: Iterable[str], dt: float, tissue: Tissue | None = None) -> None:
    """Find every mistake that the table ``[watch]`` can hold, before anything is written.

    Arguments
    ---------
    names : variables of the state
    dt : time step, ms

    Raises
    ------
    CaseError, MeshError: as `open_watchers`
    """
    names = tuple(names)
    if section.probes is not None:
        check_variables("watch.probes.variables", section.probes.variables, names)
        whole_steps("watch.probes.every", section.probes.every, dt)
        place_probes(section.probes, mesh)
    if section.spikes is not None:
        place_probes(section.spikes, mesh)
    if section.snapshots is not None:
        check_variables("watch.snapshots.variables", section.snapshots.variables,
                        names if tissue is None else (*names, PHI_E))
        whole_steps("watch.snapshots.every", section.snapshots.every, dt)
        if section.snapshots.regions is not None:
            part_of(mesh, section.snapshots.regions)
    if section.ecg is not None and tissue is not None:
        whole_steps("watch.ecg.every", section.ecg.every, dt)
        check_ecg(section.ecg, mesh, tissue)
    if section.tips is not None:
        tip_steps(section.tips, dt)
        check_tips(section.tips, mesh)
        check_variables("watch.tips.recovery", () if section.tips.recovery is None else (section.tips.recovery,), names)


def tip_steps(section: Tips, dt: float) -> tuple[int, int]:
    """Steps between samples, and of the delay: none where there is a recovery variable; CaseError as `whole_steps`."""
    every = whole_steps("watch.tips.every", section.every, dt)
    if section.recovery is not None:
        return every, 0
    if section.delay is None:
        return every, max(1, round(DELAY / dt))
    return every, whole_steps("watch.tips.delay", section.delay, dt)


def whole_steps(where: str, interval: float, dt: float) -> int:
    """The interval (ms) as a number of time steps.

    Raises
    ------
    CaseError where it is not a whole number of them
    """
    steps = round(interval / dt)
    if steps < 1 or abs(steps * dt - interval) > 1e-9 * interval:
        near = max(steps, 1) * dt
        raise CaseError(where, f"{interval:g} ms is not a whole number of time steps of {dt:g} ms",
                        f'take "{near:.10g} ms", or change time.dt')
    return steps


def check_variables(where: str, wanted: Sequence[str], known: Iterable[str]) -> None:
    """Raise a CaseError for the first variable that the state lacks."""
    known = tuple(known)
    for name in wanted:
        if name not in known:
            raise CaseError(where, f"the model has no variable {name!r}", did_you_mean(name, known))

r"""What is done to the cells: options of pacing, waveforms, clamps, strain and light become inputs on integer steps.

Times become steps as in openCARP: a pulse starts in step round(start/dt), lasts max(1, round(duration/dt)) steps, and
comes again every round(bcl/dt) steps. A signal from a file has in each step the value of the step's start. What starts
again while it still lasts begins anew.

    current    C_m dV/dt = -(Iion - I(t))                                   --stim-curr, --stim-file
    voltage    C_m dV/dt = -Iion + (E - V)/R                                --stim-volt E, --resistance R
    charge     d[X]/dt = r I(t) (S/V)/(z F)                                 --stim-assign
    clamp      V(t), or a state, is what is given                           --clamp..., --AP-clamp-file, --clamp-SVs
    strain     Lambda(t) = Lambda_0 + e s(t),  delLambda = dLambda/dt       --strain e
    light      illum(t) = illum_0 + E(t)                                    --light-irrad E, --light-file

A depolarising current is one of positive charge into the cell. What ions carry of it, a share r, changes a cation's
concentration upwards and an anion's downwards (z < 0), as in Hund, Kucera, Otani and Rudy 2001,
10.1016/S0006-3495(01)75965-6. With I in uA/cm^2, S/V in 1/um and F in C/mol it is 10 r I (S/V)/(z F) mM/ms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upstroke.bench.cells import Channel, How, Inputs
from upstroke.bench.options import Options
from upstroke.bench.parts import scale
from upstroke.bench.signals import read_signal, rounded
from upstroke.errors import OptionError, did_you_mean
from upstroke.ionic.globals import GLOBALS
from upstroke.ionic.model import Model
from upstroke.ionic.plugins import own_quantity
from upstroke.ionic.spelling import like
from upstroke.ionic.unitcheck import dimension, factor

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FARADAY = 96485.33212          # C/mol
VALENCE = {"K": 1, "Na": 1, "Ca": 2, "Cl": -1, "Mg": 2, "H": 1}


@dataclass(frozen=True, eq=False)
class Shape:
    """What a channel does from a pulse's start: ``values[k]`` from step ``steps[k]`` on, rising from 0; the last one
    until the next pulse. ``rest`` is what holds before the first."""

    steps: Ints
    values: Floats
    rest: float = np.nan

    def times(self, factor: float) -> Shape:
        """The same, larger."""
        return Shape(self.steps, self.values * factor, self.rest * factor)


@dataclass(frozen=True, eq=False)
class Pulses:
    """A channel that has a shape from each of its starts (steps, rising) on, in one train or in each of several.

    ``strength`` multiplies the shape, one for all trains or one for each.
    """

    target: str
    how: How
    shape: Shape
    starts: Sequence[Ints]
    option: str
    tau: float = 1.0
    strength: Sequence[float] | Floats = (1.0,)

    def changes(self, train: int) -> tuple[Ints, Floats]:
        """Steps and the values from then on, in a train."""
        starts = self.starts[train if len(self.starts) > 1 else 0]
        strength = self.strength[train if len(self.strength) > 1 else 0]
        steps = starts[:, None] + self.shape.steps
        until = np.append(starts[1:], np.iinfo(np.int64).max)
        kept = steps < until[:, None]
        return steps[kept], np.broadcast_to(strength * self.shape.values, steps.shape)[kept]


# --------------------------------------------------------------------------------------------------------------- times
def steps_of(time: float, dt: float) -> int:
    """round(time/dt)."""
    return int(rounded(np.array(time / dt)))


def row_steps(options: Options, dt: float) -> int:
    """Steps between two rows."""
    every = steps_of(options["dt-out"], dt)
    if not every:
        raise OptionError("--dt-out", f"{options['dt-out']:g} ms is less than half a time step of {dt:g} ms",
                          "give a time step at least, or a smaller --dt")
    return every


def onsets(options: Options, dt: float) -> Ints:
    """The steps in which the stimuli start; none with a voltage clamp."""
    if options.mode == "vclamp":
        return np.zeros(0, np.int64)
    if options.given("stim-times"):
        return _irregular("stim-times", _stimulus_times(options), dt)
    n = options["max-beats"] if options.given("until-steady") else options["numstim"]
    first, every = steps_of(options["stim-start"], dt), max(1, steps_of(options["bcl"], dt))
    if options.given("duration"):
        n = min(n, (steps_of(options["duration"], dt) - first) // every + 1)
    rounded(np.array(float(first + every * n)))                     # can be counted
    return first + np.arange(max(0, n)) * every


def _stimulus_times(options: Options) -> Floats:
    times = np.array(options["stim-times"])
    return np.cumsum(times) if options.given("DIA") else times


def _irregular(option: str, times: Floats, dt: float) -> Ints:
    steps = rounded(times / dt)
    if (np.diff(steps) <= 0).any():
        k = int(np.argmax(np.diff(steps) <= 0))
        raise OptionError(f"--{option}", f"{times[k + 1]:g} ms does not come after {times[k]:g} ms",
                          "put the times in order, a time step apart at least")
    return steps


def duration(options: Options, dt: float) -> int:
    """Steps of the run: --duration, else --past-stim after the last stimulus or, with voltage clamps, their last time.

    stim_start + bcl (numstim - 1) + past_stim for regular stimuli.
    """
    if options.given("duration"):
        return steps_of(options["duration"], dt)
    ends = [0.0]
    if options.given("stim-times"):
        ends.append(_stimulus_times(options)[-1])
    elif options.mode == "regstim":
        ends.append(options["stim-start"] + options["bcl"] * max(0, options["numstim"] - 1))
    if options.given("clamp-dur"):
        ends.append(options["clamp-start"] + options["clamp-dur"])
    if options.given("clamp-file"):
        ends.append(read_signal(options["clamp-file"], "--clamp-file").time[-1])
    return steps_of(max(ends) + options["past-stim"], dt)


def pulse(value: float, duration: float, dt: float, rest: float = np.nan) -> Shape:
    """A rectangle; ``duration`` in ms."""
    return Shape(np.array([0, max(1, steps_of(duration, dt))]), np.array([value, rest]), rest)


def _from_file(path: Path, option: str, dt: float, rest: float = np.nan) -> Shape:
    first, values = read_signal(path, option).sampled(dt)
    wait = np.zeros(min(first, 1), np.int64)
    return Shape(np.concatenate([wait, first + np.arange(len(values) + 1)]),
                 np.concatenate([np.full(len(wait), rest), values, [rest]]), rest)


# -------------------------------------------------------------------------------------------------------------- inputs
def inputs(options: Options, model: Model, dt: float, C_m: float = 1.0) -> Inputs:
    """All that the options do to a cell, in one train. ``dt`` in ms, ``C_m`` in uF/cm^2.

    Raises
    ------
    OptionError : the model lacks what an option drives, or has it as a state that drives itself; two options drive the
        same quantity; a file is wrong
    """
    begin = [onsets(options, dt)]
    channels = [*stimulus(options, model, dt, begin, C_m), *_voltage_clamp(options, dt, begin[0]),
                *_state_clamps(options, model, dt, begin), *_strain(options, model, dt), *_light(options, model, dt)]
    return combined(channels, begin)


def paced(options: Options, model: Model, dt: float, trains: Sequence[ArrayLike], *,
          currents: Floats | None = None, C_m: float = 1.0) -> Inputs:
    """The stimulus of the options at other times (ms), one array for each train; where ``currents`` (uA/cm^2) are
    given, each train has its own."""
    starts = [rounded(np.asarray(times, np.float64) / dt) for times in trains]
    if currents is None:
        return combined(stimulus(options, model, dt, starts, C_m), starts)
    shape = pulse(1.0, options["stim-dur"], dt)
    return combined([Pulses("V", "current", shape, starts, "--stim-curr", strength=currents)], starts)


def combined(channels: Sequence[Pulses], starts: Sequence[Ints]) -> Inputs:
    """Channels on common events, and a beat at each start of a train."""
    named: dict[str, Pulses] = {}
    for channel in channels:
        if channel.how != "current" and channel.target in named:
            raise OptionError(f"{named[channel.target].option} and {channel.option}", f"both drive {channel.target}",
                              "leave one out")
        if channel.how != "current":
            named[channel.target] = channel
    trains = range(len(starts))
    changes = [[channel.changes(train) for train in trains] for channel in channels]
    steps = np.unique(np.concatenate([np.zeros(1, np.int64), *starts, *(s for each in changes for s, _ in each)]))
    rows = tuple(Channel(channel.target, channel.how,
                         np.column_stack([_held(steps, *change, channel.shape.rest) for change in each]), channel.tau)
                 for channel, each in zip(channels, changes, strict=True))
    return Inputs(steps, rows, np.column_stack([np.isin(steps, begin) for begin in starts]))


def _held(steps: Ints, at: Ints, values: Floats, rest: float) -> Floats:
    """The value that holds in each step."""
    return np.concatenate([[rest], values])[np.searchsorted(at, steps, side="right")]


# ------------------------------------------------------------------------------------------------------------- stimulus
def stimulus(options: Options, model: Model, dt: float, starts: Sequence[Ints], C_m: float = 1.0) -> list[Pulses]:
    """The stimulus at given starts, and the ions that carry it."""
    held = next((name for name in ("clamp-ini", "clamp-file", "AP-clamp-file") if options.given(name)), "")
    if held:
        if options.given("stim-curr") and options["stim-curr"]:
            raise OptionError(f"--stim-curr and --{held}", "a stimulus has no effect on a clamped voltage",
                              "leave one out, or write --stim-curr 0")
        return []
    if options.given("stim-volt"):
        shape = pulse(options["stim-volt"], options["stim-dur"], dt)
        return [Pulses("V", "couple", shape, starts, "--stim-volt", options["resistance"] * C_m)]
    if options.given("stim-file"):
        shape = _from_file(options["stim-file"], "--stim-file", dt)
    else:
        shape = pulse(options["stim-curr"], options["stim-dur"], dt)
    charges = _charges(options, model, shape, starts) if options.given("stim-assign") else []
    return [*([Pulses("V", "current", shape, starts, "--stim-curr")] if np.nan_to_num(shape.values).any() else []),
            *charges]


def _charges(options: Options, model: Model, current: Shape, starts: Sequence[Ints]) -> list[Pulses]:
    """Ions that carry the stimulus: d[X]/dt = 10 r I (S/V)/(z F) in mM/ms, then in the unit of the model's X."""
    species, ratios = options["stim-species"], options["stim-ratios"]
    if len(species) != len(ratios):
        raise OptionError("--stim-species and --stim-ratios", f"{len(species)} species have {len(ratios)} shares",
                          "give one for each, with colons between")
    if sum(ratios) > 1.0 + 1e-9:
        raise OptionError("--stim-ratios", f"the shares add up to {sum(ratios):g}", "they are at most 1 together")
    pulses = []
    for name, share in zip(species, ratios, strict=True):
        target = _concentration(model, name)
        unit = model.units.get(target) or "mM"
        if dimension(unit) != dimension("mM"):
            raise OptionError("--stim-species", f"{target} of model {model.name} is in {unit}, and is no concentration",
                              "name concentrations in the cell")
        rate = 10.0 * share * options["surface-to-volume"] / (_valence(name) * FARADAY)
        pulses.append(Pulses(target, "flux", current.times(rate * factor("mM") / factor(unit)), starts,
                             "--stim-assign"))
    return pulses


def _concentration(model: Model, name: str) -> str:
    states = [s.name for s in model.states]
    found = [name] if name in states else like(name, states)
    found = found or [own for target in like(name, GLOBALS) if (own := own_quantity(model, target)) in states]
    if len(found) != 1:
        raise OptionError("--stim-species", f"model {model.name} has no state '{name}'",
                          did_you_mean(name, states))
    return found[0]


def _valence(name: str) -> int:
    letters = re.match(r"Na|Ca|Cl|Mg|K|H", name, re.IGNORECASE)
    if letters is None:
        raise OptionError("--stim-species", f"which ion is '{name}'?",
                          f"name one that begins with {', '.join(VALENCE)}")
    return VALENCE[letters[0].capitalize()]


# --------------------------------------------------------------------------------------------------------------- clamps
def _voltage_clamp(options: Options, dt: float, begin: Ints) -> list[Pulses]:
    rest = options["clamp-ini"] if options.given("clamp-ini") else np.nan
    once = [np.zeros(1, np.int64)]
    if options.given("clamp-file"):
        return [Pulses("V", "set", _from_file(options["clamp-file"], "--clamp-file", dt, rest), once, "--clamp-file")]
    if options.given("AP-clamp-file"):
        return [Pulses("V", "set", _from_file(options["AP-clamp-file"], "--AP-clamp-file", dt), [begin],
                       "--AP-clamp-file")]
    if options["clamp-dur"]:
        shape = pulse(options["clamp"], options["clamp-dur"], dt, rest)
        return [Pulses("V", "set", shape, [np.array([steps_of(options["clamp-start"], dt)])], "--clamp")]
    if options.given("clamp-ini"):
        return [Pulses("V", "set", Shape(np.zeros(1, np.int64), np.array([rest]), rest), once, "--clamp-ini")]
    return []


def _state_clamps(options: Options, model: Model, dt: float, begin: Sequence[Ints]) -> list[Pulses]:
    names, files = options["clamp-SVs"], options["SV-clamp-files"]
    if len(names) != len(files):
        raise OptionError("--clamp-SVs and --SV-clamp-files", f"{len(names)} names have {len(files)} files",
                          "give one for each, with colons between")
    if not names:
        return []
    if not options["SV-I-trigger"]:
        begin = [np.zeros(1, np.int64)]
    elif not len(begin[0]):
        raise OptionError("--clamp-SVs", "these clamps start with each stimulus, and there is none",
                          "add --SV-I-trigger=off: they then start at 0 ms")
    pulses = []
    for name, path in zip(names, files, strict=True):
        target = _clampable(model, name)
        default = {p.name: p.value for p in model.parameters}.get(target, np.nan)
        shape = _from_file(path, "--SV-clamp-files", dt).times(1.0 / scale(model, target))
        values = np.where(np.isnan(shape.values), default, shape.values)
        pulses.append(Pulses(target, "set", Shape(shape.steps, values, default), begin, "--clamp-SVs"))
    return pulses


def _clampable(model: Model, name: str) -> str:
    """The state, or the shared quantity that is a parameter, that a name means: of the model, or of a plug-in."""
    if name in ("V", "Vm"):
        raise OptionError("--clamp-SVs", "Vm is no state variable",
                          "clamp it with --clamp, --clamp-ini, --clamp-file or --AP-clamp-file")
    known = {s.name: s.name for s in model.states}
    for state in known.copy():
        if "." in state:
            known.setdefault(state.split(".", 1)[1], state)
    parameters = {p.name for p in model.parameters}
    for target in GLOBALS:
        own = own_quantity(model, target)
        if own in known or own in parameters:
            known.setdefault(target, str(own))
    found = {known[each] for each in ([name] if name in known else like(name, known))}
    if len(found) != 1:
        raise OptionError("--clamp-SVs", f"model {model.name} has no state '{name}'", did_you_mean(name, known))
    return found.pop()


# ----------------------------------------------------------------------------------------------------- strain and light
def _strain(options: Options, model: Model, dt: float) -> list[Pulses]:
    """s(t) rises in a straight line from 0 to 1 in --strain-rate from --strain-time on, and falls in the same way
    --strain-dur later. delLambda is (Lambda(t + dt) - Lambda(t))/dt, so that it adds up to what Lambda does."""
    if not options.given("strain"):
        return []
    stretch, span = options["strain"], options["strain-dur"]
    if stretch <= -1.0:
        raise OptionError("--strain", f"a strain of {stretch:g} leaves no length", "give one above -1")
    ramp = max(1, steps_of(options["strain-rate"], dt))
    steps = np.arange(ramp + 1)
    s = steps / ramp
    if span is not None:
        hold = steps_of(span, dt)
        if hold < ramp:
            raise OptionError("--strain-dur and --strain-rate", f"{span:g} ms are too short to apply the strain in "
                              f"{options['strain-rate']:g} ms", "make the duration longer, or the ramp shorter")
        down = np.arange(1 if hold == ramp else 0, ramp + 1)
        steps, s = np.concatenate([steps, hold + down]), np.concatenate([s, 1.0 - down / ramp])
    begin = [np.array([steps_of(options["strain-time"], dt)])]
    wanted = {"Lambda": stretch * s, "delLambda": stretch * np.append(np.diff(s) / np.diff(steps), 0.0) / dt}
    return [Pulses(driven.name, "set", driven.above(Shape(steps, wanted[target], 0.0)), begin, "--strain")
            for target, driven in _driven(model, tuple(wanted), "--strain").items()]


def _light(options: Options, model: Model, dt: float) -> list[Pulses]:
    option = next((name for name in ("light-irrad", "light-file") if options.given(name)), "")
    if not option:
        return []
    driven = _driven(model, ("illum",), f"--{option}")["illum"]
    if options.given("light-times"):
        begin = _irregular("light-times", np.array(options["light-times"]), dt)
    else:
        begin = (steps_of(options["light-start"], dt)
                 + np.arange(options["light-numstim"]) * max(1, steps_of(options["light-bcl"], dt)))
    shape = (_from_file(options["light-file"], "--light-file", dt, 0.0) if option == "light-file"
             else pulse(options["light-irrad"], options["light-dur"], dt, 0.0))
    return [Pulses(driven.name, "set", driven.above(shape), [begin], f"--{option}")]


@dataclass(frozen=True)
class _Driven:
    """A parameter that stands for a shared quantity: its own value, and its unit over that of the table of these."""

    name: str
    value: float
    scale: float

    def above(self, shape: Shape) -> Shape:
        """The shape, in the table's unit, on top of the parameter's own value."""
        return Shape(shape.steps, self.value + shape.values / self.scale, self.value + shape.rest / self.scale)


def _driven(model: Model, targets: Sequence[str], option: str) -> dict[str, _Driven]:
    """The model's parameters for shared quantities that something reads."""
    values = {p.name: p.value for p in model.parameters}
    found = {}
    for target in targets:
        if (own := own_quantity(model, target)) in values and own:
            unit = GLOBALS[target].unit
            found[target] = _Driven(own, values[own], factor(model.units.get(own) or unit) / factor(unit))
    if not found:
        raise OptionError(option, f"nothing in {model.name} reads {' or '.join(targets)}",
                          "add a plug-in that does; upstroke models --plugins NAME tells what each reads")
    return found

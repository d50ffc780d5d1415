"""Curves of gates and currents: what voltage does to a gate, to a current, and what each current does in a beat.

    --curves m,h                                             steady state and time constant of gates over V
    --iv "ICaL:hold=-40,from=-40,to=60,step=5,dur=200"       the current in steps of a voltage clamp, one cell a voltage
    --contributions                                          the share of each current in a beat
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upstroke.bench.currents import current_named, definitions_of, terms
from upstroke.bench.features import text_table, write_table
from upstroke.bench.population import Floats
from upstroke.bench.reading import number_of
from upstroke.errors import ModelError, OptionError, did_you_mean
from upstroke.ionic.evaluate import initial_state, quantities, value_of
from upstroke.ionic.model import Model
from upstroke.ionic.spelling import states_of
from upstroke.ionic.symbolic import ZERO

if TYPE_CHECKING:
    from upstroke.bench.cells import Cells, Inputs, Record
    from upstroke.bench.folder import Folder
    from upstroke.bench.options import Options
    from upstroke.bench.subject import Subject

Values = Mapping[str, Any]
VOLTAGES = np.linspace(-100.0, 60.0, 321)
MOST = 2000                                     # voltages of one clamp
ROWS = 1000                                     # of a record that is turned into currents at once, to spare memory


def curves(options: Options, subject: Subject, folder: Folder) -> str:
    """The mode of ``--curves`` and ``--iv``: tables in the folder, and what the terminal shows of them.

    Raises
    ------
    OptionError for what cannot be read, or several cells; ModelError for names that the model lacks
    """
    report = []
    if subject.n > 1:
        given = "iv" if options.given("iv") else "curves"
        raise OptionError(f"--{given}", f"curves are of one cell, and there are {subject.n}",
                          "leave out --num, and give a drug one concentration")
    initial, parameters = _first(subject.initial), _first(subject.population.parameters)
    if options.given("curves"):
        path = folder.file("curves.csv")
        write_table(path, gate_curves(subject.model, options["curves"], VOLTAGES, initial, parameters))
        report.append(f"steady states and time constants (ms) over V (mV) in {path}")
    if options.given("iv"):
        path, clamp = folder.file("iv.csv"), parse_iv(options["iv"])
        cells = subject.copies(clamp_inputs(clamp, subject.dt), initial, beats=0)
        table = current_voltage(clamp, cells, parameters)
        write_table(path, table)
        report += [text_table(table), f"{clamp.current} over V (mV) in {path}"]
    return "\n".join(report)


def last_beat(subject: Subject, done_to: Inputs, begin: int, end: int) -> dict[str, NDArray[Any]]:
    """``--contributions``: those of the first cell from one step to another, which it takes once more by itself."""
    cells = subject.copies(done_to, _first(subject.initial), beats=0)
    driven = {c.target for c in done_to.channels} & {p.name for p in subject.model.parameters}
    cells.advance(begin)
    record = cells.advance(end - begin, (*cells.names, *driven))
    values = {name: column[:, 0] for name, column in record.values.items()}
    parameters: Values = {**_first(subject.population.parameters), **{name: values[name] for name in driven}}
    return contributions(subject.model, record.time, values, parameters)


def _first(values: Values) -> dict[str, float]:
    """The values of the first cell."""
    return {name: float(np.ravel(value)[0]) for name, value in values.items()}


# ------------------------------------------------------------------------------------------------ gates
def gate_curves(
    model: Model, gates: Sequence[str], V: Floats = VOLTAGES, initial: Values | None = None,
    parameters: Values | None = None,
) -> dict[str, Floats]:
    """x_inf and tau_x (ms) over V of states with dx/dt = (x_inf - x)/tau_x, all else as it is initially.

    Columns V, then x_inf and tau_x of each; where nothing moves x its tau_x is inf and its x_inf NaN.

    Raises
    ------
    ModelError : no such state, or one whose rate is not linear in it
    """
    own = states_of(model, dict.fromkeys(gates))
    states = {s.name: s for s in model.states}
    start = initial_state(model, initial, parameters)
    names = quantities(model, V, start, parameters=parameters)
    columns = {"V": V}
    for gate in own:
        state = states.get(gate)
        if state is None or state.rate is None or state.slope is None:
            raise ModelError(f"model {model.name}", f"{gate} has no steady state and time constant: its rate is not "
                             "linear in it", f"gates: {', '.join(s.name for s in model.states if s.slope is not None)}")
        slope, rate = value_of(state.slope, names), value_of(state.rate, names)
        with np.errstate(all="ignore"):
            steady = start[gate] - rate / slope if state.steady is None else value_of(state.steady, names)
            tau = np.where(slope == 0, np.inf, -1 / slope)
        columns[f"{gate}_inf"] = np.array(np.broadcast_to(steady, V.shape))
        columns[f"tau_{gate}"] = np.array(np.broadcast_to(tau, V.shape))
    return columns


# ------------------------------------------------------------------------------------------------ currents
@dataclass(frozen=True)
class Clamp:
    """A voltage clamp: ``pre`` ms at ``hold``, then ``dur`` ms at each of ``low`` to ``high`` by ``step``, in mV."""

    current: str
    hold: float = -80.0
    low: float = -100.0
    high: float = 60.0
    step: float = 10.0
    dur: float = 500.0
    pre: float = 1000.0

    @property
    def voltages(self) -> Floats:
        """mV"""
        count = int((self.high - self.low) / self.step + 1e-9) + 1
        return np.array([self.low + k * self.step for k in range(count)])


_KEYS = {"from": "low", "to": "high"} | {f.name: f.name for f in fields(Clamp)[1:] if f.name not in ("low", "high")}
_IV_FORM = 'write "ICaL:hold=-40,from=-40,to=60,step=5,dur=200,pre=1000"; all but the current may be left out'


def parse_iv(text: str) -> Clamp:
    """``--iv``; OptionError where it cannot be read."""
    current, _, rest = (part.strip() for part in text.partition(":"))
    if not current:
        raise OptionError("--iv", f"'{text}' names no current", _IV_FORM)
    values: dict[str, float] = {}
    for word in (part.strip() for part in rest.split(",") if rest):
        name, equals, number = (part.strip() for part in word.partition("="))
        if not equals:
            raise OptionError("--iv", f"cannot read '{word}'", _IV_FORM)
        if name not in _KEYS:
            raise OptionError("--iv", f"no value is called '{name}'", did_you_mean(name, _KEYS))
        if _KEYS[name] in values:
            raise OptionError("--iv", f"{name} is given twice", "keep one")
        values[_KEYS[name]] = number_of("--iv", number, word)
    clamp = Clamp(current, **values)
    if clamp.step <= 0 or clamp.high < clamp.low:
        raise OptionError("--iv", f"no voltage lies between {clamp.low:g} and {clamp.high:g} mV in steps of "
                          f"{clamp.step:g} mV", "give from below to, and a positive step")
    if clamp.high - clamp.low >= MOST * clamp.step:
        raise OptionError("--iv", f"more than {MOST} voltages lie between {clamp.low:g} and {clamp.high:g} mV in steps "
                          f"of {clamp.step:g} mV", "give a larger step")
    if clamp.dur <= 0 or clamp.pre < 0:
        raise OptionError("--iv", f"the step lasts {clamp.dur:g} ms after {clamp.pre:g} ms", "give positive times")
    return clamp


def clamp_inputs(clamp: Clamp, dt: float) -> Inputs:
    """V held, a train for each voltage."""
    from upstroke.bench.cells import Channel, Inputs

    start, _ = _steps(clamp, dt)
    V = clamp.voltages
    values = np.vstack([np.full(len(V), clamp.hold), V])
    steps = np.array([0, start], np.int64)
    if start == 0:
        steps, values = steps[1:], values[1:]
    return Inputs(steps, (Channel("V", "set", values),), np.zeros((len(steps), len(V)), bool))


def _steps(clamp: Clamp, dt: float) -> tuple[int, int]:
    return round(clamp.pre / dt), max(1, round(clamp.dur / dt))


def current_voltage(clamp: Clamp, cells: Cells, parameters: Values | None = None) -> dict[str, Floats]:
    """The current at each voltage of a clamp, from cells that follow ``clamp_inputs``, one a voltage.

    Columns V (mV), peak (where it is largest, whatever its sign), t_peak (ms from the step on) and steady (at its end).

    Raises
    ------
    ModelError : no such current
    DivergenceError : a cell left the finite numbers
    """
    model, V = cells.model, clamp.voltages
    current = current_named(model, clamp.current)
    if current is None:
        raise ModelError(f"model {model.name}", f"no current '{clamp.current}'",
                         did_you_mean(clamp.current, terms(model).factors or definitions_of(model)))
    start, length = _steps(clamp, cells.dt)
    peak, t_peak, steady = np.zeros(len(V)), np.zeros(len(V)), np.zeros(len(V))

    def look(record: Record) -> None:
        nonlocal steady
        names = quantities(model, record.values["V"], record.values, record.time[:, None], cells.dt, parameters)
        values = np.broadcast_to(names[current], (len(record.time), len(V)))
        row = np.abs(values).argmax(axis=0)
        largest = values[row, np.arange(len(V))]
        higher = np.abs(largest) > np.abs(peak)
        peak[higher], t_peak[higher] = largest[higher], (record.time[row] - start * cells.dt)[higher]
        steady = np.array(values[-1])

    cells.advance(start + 1)                    # rows are taken before their step: the first that sees V comes after it
    left = length - 1
    while left:
        look(cells.advance(min(left, ROWS), cells.names, cells=len(V)))
        left -= min(left, ROWS)
    look(cells.now(cells.names, len(V)))
    cells.raise_if_broken()
    return {"V": V, "peak": peak, "t_peak": t_peak, "steady": steady}


def contributions(
    model: Model, time: Floats, values: Mapping[str, Floats], parameters: Values | None = None,
) -> dict[str, NDArray[Any]]:
    """What each term of Iion does from the first to the last time of a record of one cell.

    Columns current, charge (the integral of the term over time, nC/cm^2, outward positive), share (of the integral of
    all terms' absolute values, %), peak (uA/cm^2) and t_peak (ms), the largest share first.

    Arguments
    ---------
    time : (rows,) ms
    values : V and every state, (rows,) each
    """
    names = quantities(model, values["V"], values, time, parameters=parameters)
    found = terms(model)
    table = {name: value_of(factor, names) * names[name] for name, factor in found.factors.items()}
    if found.rest != ZERO:
        table["Iion" if not table else "the rest of Iion"] = value_of(found.rest, names)
    flows = np.stack([np.broadcast_to(term, time.shape) for term in table.values()])
    charge, moved = np.trapezoid(flows, time), np.trapezoid(np.abs(flows), time)
    row = np.abs(flows).argmax(axis=1)
    share = 100 * moved / max(moved.sum(), np.finfo(float).tiny)
    order = np.argsort(-share, kind="stable")
    columns = {"current": np.array(list(table)), "charge": charge, "share": share,
               "peak": flows[np.arange(len(flows)), row], "t_peak": time[row]}
    return {name: column[order] for name, column in columns.items()}

"""Other people's model files, read by Myokit: which variable is V, which current stimulates, what units they have."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from upstroke.errors import BackendError, ModelError, did_you_mean

#: The formats by the ends of file names; .xml may be CellML or SBML, and the file tells.
FORMATS = {".mmt": "mmt", ".cellml": "cellml", ".sbml": "sbml", ".xml": "xml"}

_VOLTAGES = {"v", "vm", "v_m", "u", "voltage", "membrane_potential", "membrane_voltage"}


def myokit_package() -> ModuleType:
    """Myokit, which is imported here and nowhere else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import myokit
            import myokit.formats
            import myokit.lib.guess
            import myokit.lib.hh
    except ImportError:
        raise BackendError("", "import and export need Myokit, which is not installed",
                           "pip install 'upstroke[exchange]', or pip install myokit") from None
    return myokit


@dataclass
class Source:
    """A model of Myokit made ready: ``model`` has no stimulus, V is a state, and no rate refers to another rate.

    Factors lead from the file's units to ours: V[mV] = ``to_mV`` V, t[ms] = ``to_ms`` t. ``silent`` are variables that
    are now zero, ``protocol`` what they were made from, ``notes`` what the reader should know.
    """

    model: Any
    V: Any
    time: Any
    to_mV: float
    to_ms: float
    silent: list[Any] = field(default_factory=list)
    protocol: set[Any] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def read_source(path: Path, vm: str = "", current: str = "", stimulus: str = "") -> Source:
    """The model of a file, its V found and its stimulus taken out.

    ``vm``, ``current`` and ``stimulus`` name variables as ``component.name``, or by a name that occurs once. Where
    ``current`` is given, it is the whole membrane current, and C_m dV/dt = -current replaces the file's equation.
    Raises ModelError, and BackendError where Myokit is missing.
    """
    myokit = myokit_package()
    file = str(path)
    model = _load(myokit, path)
    try:
        model.validate()
        model = model.clone()
        model.remove_derivative_references()
    except myokit.MyokitError as error:
        raise ModelError(file, f"the model is not complete: {_first_line(error)}", "mend the file") from None
    V = _named(model, file, vm, "--vm") if vm else _find_voltage(myokit, model, file)
    time, notes = model.time(), list[str]()
    if time is None:
        time = model.add_component_allow_renaming("engine").add_variable("time")
        time.set_rhs(0)
        time.set_binding("time")
    to_ms = _factor(myokit, time, "ms", "time", file, notes)
    to_mV = _factor(myokit, V, "mV", "V", file, notes)
    stimulated = _named(model, file, stimulus, "--stimulus") if stimulus else _find_stimulus(myokit, model, V)
    protocol = set() if stimulated is None else set(_behind(stimulated))
    silent = _silence(model, V, stimulated, notes)
    if current:
        _charge_by(myokit, model, V, _named(model, file, current, "--current"), to_ms / to_mV, file)
        notes.append(f"Iion is {_named(model, file, current, '--current').qname()}, as asked for.")
    elif not V.is_state():
        raise ModelError(file, f"{V.qname()} has no rate in this file: V is prescribed",
                         "name the whole membrane current, --current NAME, or another V, --vm NAME")
    else:
        notes.append(f"Iion is -d({V.qname()})/dt of the file, without its stimulus, at C_m = 1 uF/cm^2.")
    model.validate()
    return Source(model, V, time, to_mV, to_ms, silent, protocol, notes)


def _load(myokit: ModuleType, path: Path) -> Any:
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ModelError(str(path), f"'{path.suffix}' is no ending of a model file",
                         f"known: {', '.join(FORMATS)}")
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ModelError(str(path), f"cannot read the model: {error.strerror}", "give the path of a file") from None
    if kind == "xml":
        kind = "cellml" if "cellml.org/cellml" in text[:2000] else "sbml"
    if kind == "sbml" and re.search(r"<(\w+:)?event\b", text):
        raise ModelError(str(path), "the file has events, which Myokit would leave out",
                         "take them out of the file, and add them to the result: when (...) { NAME = value; }")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = myokit.load(str(path))[0] if kind == "mmt" else myokit.formats.importer(kind).model(str(path))
    except Exception as error:     # Myokit raises its own errors, and on broken files also Python's
        raise ModelError(str(path), f"Myokit cannot read this as {kind}: {_first_line(error)}",
                         "check that the file is whole, and its format") from None
    if model is None:
        raise ModelError(str(path), "the file holds no model", "give one with a [[model]] part")
    return model


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _named(model: Any, file: str, name: str, option: str) -> Any:
    """A variable by its full name, or by one that no other has."""
    variables = list(model.variables(deep=True))
    found = [v for v in variables if name in (v.qname(), v.name())]
    exact = [v for v in found if v.qname() == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        raise ModelError(file, f"{option} {name} may be {' or '.join(v.qname() for v in found)}",
                         f"write {option} {found[0].qname()}")
    raise ModelError(file, f"{option}: no variable '{name}'", did_you_mean(name, [v.qname() for v in variables]))


def _find_voltage(myokit: ModuleType, model: Any, file: str) -> Any:
    guess = myokit.lib.guess.membrane_potential(model)
    if guess is not None:
        labelled = guess.label() == "membrane_potential" or guess.meta.get("oxmeta") == "membrane_voltage"
        volts = guess.unit() is not None and myokit.Unit.can_convert(guess.unit(), myokit.units.V)
        if labelled or volts or guess.name().lower() in _VOLTAGES:
            return guess
    states = ", ".join(v.qname() for v in model.states())
    raise ModelError(file, "no variable looks like the membrane voltage",
                     f"name it: --vm NAME (states: {states or 'none'})")


def _factor(myokit: ModuleType, variable: Any, unit: str, what: str, file: str, notes: list[str]) -> float:
    """What numbers of a variable are multiplied by to be in ``unit``."""
    own = variable.unit()
    if own is None or own == myokit.units.dimensionless:
        notes.append(f"The file gives {what} no unit; it is read as {unit}.")
        return 1.0
    try:
        return float(f"{float(myokit.Unit.conversion_factor(own, unit)):.15g}")
    except myokit.IncompatibleUnitError:
        raise ModelError(file, f"{variable.qname()} is in {own}, not a unit of {'time' if unit == 'ms' else 'voltage'}",
                         "name another variable with --vm NAME" if unit == "mV" else "mend the unit in the file") \
            from None


def _find_stimulus(myokit: ModuleType, model: Any, V: Any) -> Any:
    """What Myokit takes for the stimulus current, if the rate of V depends on it; or None."""
    guess = myokit.lib.guess.stimulus_current(model)
    if guess is not None and V.is_state() and not guess.is_state() and guess in _behind(V):
        return guess
    return None


def _silence(model: Any, V: Any, stimulus: Any, notes: list[str]) -> list[Any]:
    """Set the stimulus, and what else an experiment would drive, to zero."""
    driven = [v for binding, v in model.bindings() if binding != "time"]
    silent = [v for v in dict.fromkeys((stimulus, *driven)) if v is not None and v is not V]
    for variable in silent:
        variable.set_binding(None)
        variable.set_rhs(0)
    if V.binding():
        V.set_binding(None)
    if silent:
        notes.append(f"Left out: {', '.join(v.qname() for v in silent)}; Upstroke gives the stimulus.")
    return silent


def _behind(variable: Any) -> list[Any]:
    """Everything a variable is computed from, through intermediate ones but not through the rates of states."""
    found, queue = dict[Any, None](), [variable]
    while queue:
        for v in queue.pop().refs_to():
            if v not in found and v is not variable:
                found[v] = None
                if not v.is_state():
                    queue.append(v)
    return list(found)


def _charge_by(myokit: ModuleType, model: Any, V: Any, current: Any, ms_per_mV: float, file: str) -> None:
    """Let dV/dt = -current at C_m = 1 uF/cm^2."""
    scale, unit = 1.0, current.unit()
    if unit is not None and unit != myokit.units.dimensionless:
        capacitance = myokit.lib.guess.membrane_capacitance(model)
        helpers = [] if capacitance is None else [myokit.Quantity(capacitance.eval(), capacitance.unit())]
        for target in ("uA/cm^2", "A/F"):
            try:
                scale = float(myokit.Unit.conversion_factor(unit, target, helpers))
                break
            except myokit.IncompatibleUnitError:
                continue
        else:
            raise ModelError(file, f"--current: {current.qname()} is in {unit}, not a current per area or capacitance",
                             "name a current in A/F or uA/cm^2")
    rhs = myokit.Multiply(myokit.Number(-scale * ms_per_mV), myokit.Name(current))
    if V.is_state():
        V.set_rhs(rhs)
    else:
        value = V.eval()
        V.promote(value)
        V.set_rhs(rhs)

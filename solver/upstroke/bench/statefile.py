"""Our own state files: named, in full precision, and with all that tells whether they fit.

The text form is JSON: the model, its plug-ins and flags, every parameter, the time, the units, the version, and V and
all states with 17 digits. It fits the same model, plug-ins and flags, by name; parameters that differ are reported.
The form for all cells of a population is NumPy's ``.npz``: the same text as ``about``, and an array for V, each
state, and each parameter that differs between cells.

    numpy.load("a.sv")["V"]
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

import upstroke
from upstroke.bench.parts import nearest, parts, plugins_said, scale
from upstroke.bench.svfile import Saved, read_sv
from upstroke.errors import ModelError, OptionError, did_you_mean
from upstroke.ionic.model import Model
from upstroke.output.files import plain, whole_file, write_json

FORMAT = "upstroke cell state"
VERSION = 1
_PARAMETER = "parameter "


# ------------------------------------------------------------------------------------------------------- writing
def write_state(path: Path, model: Model, state: Mapping[str, Any], time: float, dt: float) -> None:
    """Write one cell as text.

    Arguments
    ---------
    state : V and states, and parameters that differ from the model's (``Cells.state()``); of arrays, the first cell
    time, dt : ms, when it was, and the steps it was reached by

    Raises
    ------
    OutputError where it cannot be written
    """
    first = {name: float(np.ravel(value)[0]) for name, value in state.items()}
    about = _about(model, time, dt)
    about["parameters"] |= {name: value for name, value in first.items() if name in about["parameters"]}
    write_json(path, about | {"state": {name: first[name] for name in _names(model)}})


def write_cells(path: Path, model: Model, state: Mapping[str, NDArray[np.float64]], time: float, dt: float) -> None:
    """Write all cells, as ``write_state`` one; the name of the file is taken as it is."""
    about = _about(model, time, dt)
    arrays = {name: np.atleast_1d(state[name]) for name in _names(model)}
    arrays |= {_PARAMETER + name: np.atleast_1d(state[name]) for name in about["parameters"] if name in state}
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, about=np.array(json.dumps(plain(about))), **arrays)  # type: ignore[arg-type]


def _names(model: Model) -> tuple[str, ...]:
    return ("V", *(s.name for s in model.states))


def _units(model: Model) -> dict[str, str]:
    return {"V": "mV"} | {s.name: model.units.get(s.name, s.unit) for s in model.states}


def _about(model: Model, time: float, dt: float) -> dict[str, Any]:
    base, *plugins = model.name.split(" + ")
    return {
        "format": FORMAT, "version": VERSION, "upstroke": upstroke.__version__,
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": base, "plugins": plugins, "flags": {flag.name: flag.value for flag in model.flags},
        "time_ms": float(f"{time:.15g}"), "dt_ms": dt, "units": _units(model),
        "parameters": {p.name: p.value for p in model.parameters},
    }


# ------------------------------------------------------------------------------------------------------- reading
def read_state(path: Path, model: Model) -> Saved:
    """One cell from a state file of any kind: ours, or openCARP's text.

    Raises
    ------
    ModelError : a file that cannot be read, or that is of another model, of other plug-ins or flags
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise ModelError(str(path), f"cannot read the state: {error.strerror}",
                         "give a file of --save-ini-file") from None
    except UnicodeDecodeError:
        raise ModelError(str(path), "this state file is not text", "read one of all cells with --restore") from None
    if not text.lstrip().startswith("{"):
        return read_sv(path, text, model)
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ModelError(f"{path}:{error.lineno}", f"the file is damaged: {error.msg}",
                         "save the state again") from None
    notes = _fits(path, found, model)
    state = found.get("state", {})
    _same_names(path, model, state)
    return Saved(_finite(path, {name: state[name] for name in _names(model)}), notes=notes)


def read_cells(path: Path, model: Model, n: int) -> Saved:
    """All cells from a file of ``write_cells``: (n,) each; one cell in the file stands for all.

    Raises
    ------
    ModelError as ``read_state``, and for another number of cells
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            about = json.loads(str(arrays.pop("about")))
    except OSError as error:
        raise ModelError(str(path), f"cannot read the state: {error.strerror or error}",
                         "give a file of --save-file") from None
    except (ValueError, KeyError, AttributeError, BadZipFile, EOFError):
        raise ModelError(str(path), "this is no file of --save-file",
                         "a text file is read with --read-ini-file") from None
    notes = _fits(path, about, model)
    own = {name.removeprefix(_PARAMETER): arrays.pop(name) for name in [*arrays] if name.startswith(_PARAMETER)}
    _same_names(path, model, arrays)
    there = len(arrays["V"])
    if there not in (1, n):
        raise ModelError(str(path), f"it holds {there} cells, the run has {n}", f"give --num {there}")
    values = {name: np.broadcast_to(value, n).copy() for name, value in arrays.items()}
    parameters = {name: np.broadcast_to(value, n).copy() for name, value in own.items()}
    return Saved(_finite(path, values), parameters, notes)


def _fits(path: Path, about: Any, model: Model) -> tuple[str, ...]:
    """Notes on parameters that differ; an error where the state is of something else."""
    where = str(path)
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ModelError(where, "this is no state file", "give a file of --save-ini-file")
    if about.get("version") != VERSION:
        raise ModelError(where, f"the file is of version {about.get('version')}, and this program reads {VERSION}",
                         f"read it with upstroke {about.get('upstroke')}, or save it again")
    here = _about(model, 0.0, 0.0)
    if missing := [name for name in here if name not in about]:
        raise ModelError(where, f"the file is damaged: it lacks {' '.join(missing)}", "save the state again")
    for key, what in (("model", "model"), ("plugins", "plug-ins"), ("flags", "flags")):
        if about[key] != here[key]:
            raise ModelError(where, f"it was saved with {what} {_said(about[key])}, and the run has {_said(here[key])}",
                             f"give a file of the same {what}, or run with those of the file")
    units = [f"{name} in {there} there and {here['units'][name]} here" for name, there in about["units"].items()
             if name in here["units"] and there != here["units"][name]]
    if units:
        raise ModelError(where, f"units differ: {', '.join(units)}", "save the state again with this model file")
    there = about["parameters"]
    changed = [f"{name} {there[name]:.6g}, here {value:.6g}" if name in there else f"no {name}, here {value:.6g}"
               for name, value in here["parameters"].items() if there.get(name) != value]
    changed += [f"{name} {value:.6g}, here none" for name, value in there.items() if name not in here["parameters"]]
    return (f"{path} was saved with other parameters, those of the run hold: {'; '.join(changed)}",) if changed else ()


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={option}" for name, option in value.items()) or "none"
    return value if isinstance(value, str) else ":".join(value) or "none"


def _same_names(path: Path, model: Model, state: Mapping[str, Any]) -> None:
    names = _names(model)
    missing, strange = [n for n in names if n not in state], [n for n in state if n not in names]
    if missing or strange:
        said = [f"it lacks {' '.join(missing)}"] * bool(missing) + [f"it has {' '.join(strange)}"] * bool(strange)
        raise ModelError(str(path), f"this is no state of {model.name} as it is here: {', and '.join(said)}",
                         "save the state again with this model file")


def _finite(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if value is None or isinstance(value, str) or not np.all(np.isfinite(value)):
            raise ModelError(str(path), f"{name} is no number", "save the state again")
    return values


# ------------------------------------------------------------------------------------------------------- --SV-init
def sv_init(text: str, model: Model) -> dict[str, float]:
    """V and states of ``--SV-init "V=-80,Cai=0.12:TRPN=0.02"``: lists for the model and for each plug-in, by ``:``.

    Cytosolic calcium is in uM, as in openCARP and its state files; the rest in the model's units.

    Raises
    ------
    OptionError for what is no state of the part, or no number
    """
    values: dict[str, float] = {}
    wanted = parts(model)
    lists = text.split(":")
    if len(lists) > len(wanted):
        raise OptionError("--SV-init", f"{len(lists)} lists for a model and {plugins_said(len(wanted) - 1)}",
                          "separate lists by ':', states by ','")
    for part, words in zip(wanted, lists, strict=False):
        known = {name: part.full(name) for name in part.states}
        if not part.prefix:
            known |= {"V": "V", "Vm": "V"} | {s.name: s.name for s in model.states if s.name in model.externals}
        for word in (w.strip() for w in words.split(",") if w.strip()):
            name, _, number = (s.strip() for s in word.partition("="))
            own = nearest(name, known)
            if own is None:
                raise OptionError("--SV-init", f"{part.name} has no state '{name}'",
                                  f"it is a parameter: {'--plug-par' if part.prefix else '--imp-par'} {word}"
                                  if nearest(name, part.parameters) else did_you_mean(name, known))
            full = known[own]
            if full in values:
                raise OptionError("--SV-init", f"{own} is given twice", "give it once")
            try:
                values[full] = float(number) / scale(model, full)
            except ValueError:
                raise OptionError("--SV-init", f"'{word}' gives {own} no number", f"write {own}=0.5") from None
            if not np.isfinite(values[full]):
                raise OptionError("--SV-init", f"'{word}' is not finite", "give a finite number")
    return values

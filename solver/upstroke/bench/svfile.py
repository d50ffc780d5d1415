"""openCARP's text state file (``.sv``): one value a line, read by position, names as comments.

    -85.2262            # Vm
    -                   # Ke                     (shared quantities; "-": not in use)
    tenTusscherPanfilov                          (not in older files)
    3.62845             # CaSR
                                                 (a blank line ends a part; plug-ins follow)

Values have six digits. Cytosolic calcium is in uM, everything else in the unit of the model. Parameters that openCARP
keeps for each cell stand among the states. What is read are V and states: a parameter in the file that differs from the
one of the run is reported and not taken, where openCARP takes it without a word.

Names that are there are checked, so that the file of another model is an error. Files in an order that is not known are
read by their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from upstroke.bench.parts import GLOBAL, NAMES, Part, nearest, parts, scale, shared
from upstroke.bench.reading import finite
from upstroke.errors import ModelError, Place
from upstroke.ionic.library import find_model, find_plugin
from upstroke.ionic.model import Model
from upstroke.output.files import whole_file

#: What stands on top, in order; older files end with tension_component.
SHARED = ("Vm", "Lambda", "delLambda", "Tension", "Ke", "Nae", "Cae", "Iion", "tension_component", "illum")
SHARED_IN_OLD_FILES = 9
_GLOBALS = {NAMES.get(target, target): target for target in GLOBAL}
_OTHER_SPELLINGS = {"light": "illum"}

#: Lines of a part, newest layout first, as files of openCARP show them. ``name=value`` is one that the model here does
#: not have, with what stands in its place; names that begin with ``__`` are openCARP's own.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "Courtemanche": ("Ca_rel Ca_up Cai Ki d f f_Ca h j m oa oi u ua ui v w xr xs",),
    "MitchellSchaeffer": ("V_gate V_max V_min a_crit=0 h tau_close tau_in tau_open tau_out",),
    "tenTusscherPanfilov": (
        "CaSR CaSS Cai D F F2 FCaSS GCaL GKr GKs Gto H J Ki M Nai R R_ S Xr1 Xr2 Xs",
        "Ca_i CaSR CaSS R_ O Na_i K_i M H J Xr1 Xr2 Xs R S D F F2 FCaSS"),
    "Tomek": (
        "C1 C2 C3 CaMKt Cai Cajsr Cansr Cass I Jrel_np Jrel_p Ki Kss Nai Nass O a ap d fCaf fCafp fCas ff ffp fs h hL "
        "hLp hp iF iFp iS iSp j jCa jp m mL nCa_i nCa_ss xs1 xs2",),
    "Defib_AshiharaTrayanova": ("Ki=5.4 __sl_i2c_local=0",),
    "Stress_Land17": ("TRPN TmBlocked XS XW ZETAS ZETAW __Ca_i_local=0",),
}
#: Names of states that differ from ours in more than case and underscores.
ALIASES: dict[str, dict[str, str]] = {
    "tenTusscherPanfilov": {"R'": "R_", "Rprime": "R_"},
    "Electroporation_DeBruinKrassowska98": {"n": "N"},
}


@dataclass(frozen=True)
class Saved:
    """What a state file holds: V and states by the model's names, numbers or (n,).

    ``parameters`` are those that differ between the cells of the file, ``notes`` what the user should know.
    """

    values: dict[str, Any]
    parameters: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Line:
    """A value, None where there is "-"; ``name`` is "" where the line names none."""

    value: float | None
    name: str
    place: Place


# ------------------------------------------------------------------------------------------------------- writing
def write_sv(path: Path, model: Model, state: Mapping[str, Any]) -> tuple[str, ...]:
    """Write one cell in openCARP's newest layout; notes on what the file cannot hold.

    Arguments
    ---------
    state : V, states and Iion, and parameters that differ from the model's; of arrays, the first cell

    Raises
    ------
    OutputError where it cannot be written
    """
    known = {p.name: p.value for p in model.parameters} | {name: float(np.ravel(v)[0]) for name, v in state.items()}
    used = shared(model)
    values = {"Vm": known["V"], "Iion": known["Iion"]} | {
        name: known[used[target]] for name, target in _GLOBALS.items() if used.get(target) in known}
    lines = [_written(values.get(name), name) for name in SHARED]
    notes = []
    for part in parts(model):
        slots = _slots(part)[0]
        lines.append(part.name)
        for slot, constant in slots.items():
            own = part.full(_own(part, slot)[1])
            lines.append(_written(known[own] * scale(model, own) if constant is None else constant, slot))
        lines.append("")
        left_out = [name for name in part.states if name not in {_own(part, slot)[1] for slot in slots}]
        if left_out:
            notes.append(f"{path}: openCARP's {part.name} has no {' '.join(left_out)}, so the file does not hold it; a "
                         "state file of our own does")
        if part.name not in LAYOUTS and part.states:
            notes.append(f"{path}: openCARP's order of the states of {part.name} is not known here; they stand in "
                         "alphabetic order")
    with whole_file(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tuple(notes)


def _written(value: float | None, name: str) -> str:
    return f"{'-' if value is None else f'{value:g}':<20s}# {name}"


# ------------------------------------------------------------------------------------------------------- reading
def read_sv(path: Path, text: str, model: Model) -> Saved:
    """V and states from the text of a file in any known layout.

    Raises
    ------
    ModelError : no such file, the file of another model, lines that do not fit
    """
    top, sections = _parsed(path, text)
    values, found = _of_shared(top, model)
    notes = list(found)
    for part, lines in _matched(path, sections, parts(model)):
        states, found = _of_part(path, part, lines, model)
        values |= states
        notes += found
    return Saved(values, notes=tuple(notes))


def _parsed(path: Path, text: str) -> tuple[list[_Line], list[tuple[str, list[_Line]]]]:
    """The shared quantities on top, and the parts with their names, "" where the file does not say."""
    titled = any(line.strip() and "#" not in line and not _is_value(line.strip()) for line in text.splitlines())
    top: list[_Line] = []
    sections: list[tuple[str, list[_Line]]] = []
    ended = False
    for number, line in enumerate(text.splitlines(), 1):
        place = Place(str(path), number, 1, line)
        content, _, name = (s.strip() for s in line.partition("#"))
        if not content:
            ended = ended or (not name and bool(sections))
        elif _is_value(content):
            entry = _Line(None if content == "-" else float(content), name, place)
            if not sections and (titled or _shared_name(name) or (not name and len(top) < SHARED_IN_OLD_FILES)):
                top.append(entry)
                continue
            if not sections or ended:
                sections.append(("", []))
                ended = False
            sections[-1][1].append(entry)
        elif "#" in line or len(content.split()) > 1:
            raise ModelError(place, f"'{content}' is no number",
                             "a line of a state file is a value, or - for none, and # its name")
        else:
            sections.append((content, []))
            ended = False
    if not top or not sections:
        raise ModelError(str(path), "this is no state file: it has no values of shared quantities and of a model",
                         "give a file of --save-ini-file")
    return top, sections


def _is_value(word: str) -> bool:
    return word == "-" or finite(word) is not None


def _shared_name(name: str) -> str | None:
    return nearest(_OTHER_SPELLINGS.get(name, name), SHARED)


def _of_shared(lines: Sequence[_Line], model: Model) -> tuple[dict[str, float], list[str]]:
    """V and shared states; notes on what has no place."""
    used, states = shared(model), {s.name for s in model.states}
    parameters = {p.name: p.value for p in model.parameters}
    values, notes = dict[str, float](), list[str]()
    for line, expected in zip(lines, SHARED, strict=False):
        if line.name and _shared_name(line.name) != expected:
            raise ModelError(line.place, f"{line.name} stands where {expected} belongs",
                             f"the order is {' '.join(SHARED)}")
        if line.value is None or expected in ("Iion", "tension_component"):
            continue
        own = "V" if expected == "Vm" else used.get(_GLOBALS[expected], "")
        if own == "V" or own in states:
            values[own] = line.value
        elif own in parameters:
            notes += _differs(own, line.value, parameters[own])
        else:
            notes.append(f"{expected} = {line.value:g} of the state file is not in use here")
    if len(lines) > len(SHARED):
        raise ModelError(lines[len(SHARED)].place, f"there are more than {len(SHARED)} shared quantities",
                         f"they are {' '.join(SHARED)}")
    if "V" not in values:
        raise ModelError(lines[0].place, "the file has no Vm", "give a file of --save-ini-file")
    return values, notes


def _matched(path: Path, sections: list[tuple[str, list[_Line]]], wanted: tuple[Part, ...]) \
        -> list[tuple[Part, list[_Line]]]:
    """Which part each section is: by its title, else by its order among the parts that have states."""
    here = " + ".join(part.name for part in wanted)
    untitled = [part for part in wanted if part.states]
    if len([title for title, _ in sections if not title]) > len(untitled):
        untitled = list(wanted)
    matched: dict[str, tuple[Part, list[_Line]]] = {}
    for title, lines in sections:
        name = _titled(title) if title else (untitled.pop(0).name if untitled else "")
        part = next((p for p in wanted if p.name.lower() == name.lower() and p.name not in matched), None)
        if part is None:
            what = f"it holds a state of {name}" if name else "it holds more plug-ins"
            raise ModelError(str(path), f"{what}; the model here is {here}",
                             "give a file of this model with these plug-ins, or run what the file is of")
        untitled = [p for p in untitled if p is not part]
        matched[part.name] = part, lines
    missing = [part.name for part in wanted if part.states and part.name not in matched]
    if missing:
        raise ModelError(str(path), f"it holds no state of {' and '.join(missing)}; the model here is {here}",
                         "give a file of this model with these plug-ins")
    return list(matched.values())


def _titled(title: str) -> str:
    """The name here of what a file calls so, say by an older name."""
    for find in (find_model, find_plugin):
        try:
            return find(title).stem
        except ModelError:
            continue
    return title


def _slots(part: Part) -> list[dict[str, float | None]]:
    """The known layouts: each line's name, and the value that stands for one which the part lacks."""
    known = LAYOUTS.get(part.name, (" ".join(sorted(part.states)),))
    return [{slot.partition("=")[0]: float(slot.partition("=")[2]) if "=" in slot else None for slot in layout.split()}
            for layout in known]


def _own(part: Part, name: str) -> tuple[str, str]:
    """What a name in a file is here, and how it is called."""
    name = ALIASES.get(part.name, {}).get(name, name)
    for kind, known in (("state", part.states), ("parameter", part.parameters), ("definition", part.definitions)):
        own = nearest(name, known)
        if own is not None:
            return kind, own
    return "", name


def _of_part(path: Path, part: Part, lines: list[_Line], model: Model) -> tuple[dict[str, float], list[str]]:
    """The states of one part; notes on parameters that differ and states that the layout lacks."""
    layouts = _slots(part)
    names = next((tuple(layout) for layout in layouts if len(layout) == len(lines) and all(
        not line.name or nearest(line.name, layout) == slot for line, slot in zip(lines, layout, strict=True))), None)
    if names is None:
        if not all(line.name for line in lines):
            raise ModelError(str(path), f"{len(lines)} values for {part.name}, some without a name, in no known order",
                             f"openCARP's order is {' '.join(layouts[0])}")
        names = tuple(line.name for line in lines)
    constants = {slot: value for layout in layouts for slot, value in layout.items() if value is not None}
    parameters = {p.name: p.value for p in model.parameters}
    values, notes, strange = dict[str, float](), list[str](), list[str]()
    for name, line in zip(names, lines, strict=True):
        kind, own = _own(part, name)
        full = part.full(own)
        if line.value is None:
            raise ModelError(line.place, f"{name} has no value", "give a file of --save-ini-file")
        if kind == "state" and full in values:
            raise ModelError(line.place, f"{own} of {part.name} is there twice", "give a file of --save-ini-file")
        if kind == "state":
            values[full] = line.value / scale(model, full)
        elif name in constants:
            notes += [] if name.startswith("__") else _differs(f"{part.name} {name}", line.value, constants[name])
        elif kind == "parameter":
            notes += _differs(full, line.value, parameters[full])
        elif kind == "" and not name.startswith("__"):
            strange.append(name)
    held = {_own(part, slot)[1] for layout in layouts for slot in layout}
    missing = [name for name in part.states if part.full(name) not in values]
    if strange or any(name in held for name in missing):
        found = [f"it has {' '.join(strange)}"] if strange else []
        found += [f"it lacks {' '.join(missing)}"] if missing else []
        raise ModelError(str(path), f"this is no state of {part.name}: {', and '.join(found)}",
                         "give a file that was saved with this model")
    notes += [f"the state file holds no {name} of {part.name}, which keeps its own start" for name in missing]
    return values, notes


def _differs(name: str, there: float, here: float) -> list[str]:
    """A note where a value of the file, of six digits, is not the one of the run."""
    if abs(there - here) <= 1e-5 * max(abs(there), abs(here)):
        return []
    return [f"the state was saved with {name} = {there:g}, here it is {here:g}, which holds"]

"""From a study file to its members: what each of them sets.

Four tables vary keys of the case; a study has every combination of what they give:

    [grid]    each key has a list; all combinations of their values
    [list]    keys have lists of one length, taken side by side
    [sample]  `count` points of a Latin hypercube over ranges { low, high, scale = "linear" | "log" }
    [table]   `file`, a CSV file: a column a key, a row a member

(McKay, Beckman and Conover 1979, Technometrics 21:239, doi 10.2307/1268522, for Latin hypercubes.)
"""

from __future__ import annotations

import csv
import itertools
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from upstroke.case import Case, load_case
from upstroke.case.convert import convert
from upstroke.case.source import Node, nearby, read
from upstroke.case.toml import KeyPath, write_key, write_value
from upstroke.case.words import keys as keys_of
from upstroke.errors import CaseError, ErrorList, Place, UpstrokeError, did_you_mean, nearest
from upstroke.sweep.schema import Study

STUDY_FILE = "study.toml"
MOST = 10 ** 6          # members; more is a mistake
_QUANTITY = re.compile(r"\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*(.*?)\s*")

#: What a member sets: keys of the case and their values as TOML has them.
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """A study with its members.

    Attributes
    ----------
    file, name : of the study
    sources : case files, absolute
    overrides : for all members: from the command line
    keys : what is varied, in the order of the file
    members : what each sets
    """

    file: str
    name: str
    study: Study
    sources: tuple[str, ...]
    overrides: tuple[str, ...]
    keys: tuple[str, ...]
    members: tuple[Values, ...]

    def settings(self, number: int) -> tuple[str, ...]:
        """The member's overrides of the case, as after ``--set``."""
        own = tuple(f"{key}={write_value(value)}" for key, value in self.members[number].items())
        return self.overrides + own

    def describe(self) -> str:
        """The members, a line each."""
        width = len(str(len(self.members) - 1))
        texts = (", ".join(f"{key} = {write_value(value)}" for key, value in member.items()) for member in self.members)
        return "\n".join(f"{number:>{width}}  {text}" for number, text in enumerate(texts))

    def case(self, number: int) -> Case:
        """The member's case."""
        return load_case(*self.sources, overrides=self.settings(number))


def read_plan(file: Path, overrides: tuple[str, ...] = ()) -> Plan:
    """The plan of a study file; every value of every key has been tried on the case.

    Raises
    ------
    ErrorList, CaseError: mistakes in the study, and values that the case does not take
    """
    root = read(file, STUDY_FILE)
    mistakes = _misspelt(root)
    axes = [_AXES[name](root.value.pop(name)) for name in _AXES if name in root.value]
    study, more = convert(root, Study)
    if mistakes := [*mistakes, *more]:
        raise ErrorList(errors=tuple(mistakes))
    if not axes:
        raise CaseError(root.place.file, "varies nothing", "add a table [grid], [list], [sample] or [table]; for one "
                        "run there is `upstroke run`")
    keys = [key for axis in axes for key in axis[0]]
    for key in keys:
        if keys.count(key) > 1:
            raise CaseError(root.place.file, f"{key} is varied twice", "keep one of the two")
    _require_few(math.prod(map(len, axes)), root)
    members = tuple({key: value for part in parts for key, value in part.items()}
                    for parts in itertools.product(*axes))
    sources = (study.case,) if isinstance(study.case, str) else study.case
    plan = Plan(root.place.file, root.folder.name if Path(root.place.file).name == STUDY_FILE else file.stem,
                study,
                tuple(os.path.normpath(root.folder / source) for source in sources), overrides, tuple(keys), members)
    _try(plan)
    return plan


def _try(plan: Plan) -> None:
    """Load a case for every value of every key, and for no other combination."""
    seen: set[tuple[str, str]] = set()
    for number, member in enumerate(plan.members):
        new = {(key, write_value(value)) for key, value in member.items()} - seen
        if new and len(seen) < 1000:
            seen |= new
            try:
                plan.case(number)
            except ErrorList as error:
                raise ErrorList(errors=tuple(_placed(e, plan) for e in error.errors)) from None


def _placed(error: UpstrokeError, plan: Plan) -> UpstrokeError:
    """An error in a value of the study, which the case's loader takes for one of the command line."""
    if isinstance(error.where, Place) and error.where.file.startswith("--set ") and (
            error.where.file.removeprefix("--set ") not in plan.overrides):
        return type(error)(Place(f"{plan.file}: {error.where.file.removeprefix('--set ')}"), error.what, error.remedy)
    return error


def _misspelt(root: Node) -> list[UpstrokeError]:
    """Tables that a study does not have, of which `convert` does not know all; they are taken out."""
    known = (*keys_of(Study), *_AXES)
    strange = [name for name, node in root.value.items() if isinstance(node.value, dict) and name not in known]
    return [CaseError(root.value.pop(name).place, f"{name}: unknown table", did_you_mean(name, known))
            for name in strange]


def _require_few(members: int, node: Node) -> None:
    if members > MOST:
        raise CaseError(node.place.file, f"makes {members:,} members, more than the {MOST:,} that are sensible",
                        "vary less, or take a [sample]")


# --------------------------------------------------------------------------------------- the four ways to vary
def _grid(node: Node) -> list[Values]:
    axes = []
    for path, leaf in _leaves(node, lambda n: isinstance(n.value, list)):
        if not isinstance(leaf.value, list) or not leaf.value:
            raise CaseError(leaf.place, f"grid.{write_key(path)}: expected a list of values", "for example "
                            f'{write_key(path[-1:])} = ["0.1 mm", "0.2 mm"]')
        axes.append([{write_key(path): _raw(value)} for value in leaf.value])
    _require_few(math.prod(map(len, axes)), node)
    return [{key: value for part in parts for key, value in part.items()} for parts in itertools.product(*axes)]


def _list(node: Node) -> list[Values]:
    columns = {}
    for path, leaf in _leaves(node, lambda n: isinstance(n.value, list)):
        if not isinstance(leaf.value, list) or not leaf.value:
            raise CaseError(leaf.place, f"list.{write_key(path)}: expected a list of values",
                            "each element belongs to a member")
        columns[write_key(path)] = [_raw(value) for value in leaf.value]
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise CaseError(node.place, "list: " + ", ".join(f"{key} has {n}" for key, n in lengths.items()),
                        "lists that are taken side by side have one length; combinations are made by [grid]")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _sample(node: Node) -> list[Values]:
    """A Latin hypercube: each range is cut into as many strata of one probability as there are points, each has one."""
    table = dict(node.value)
    count = _whole(table.pop("count", None), node, "count", 1, MOST)
    seed = _whole(table.pop("seed", Node(1, node.place)), node, "seed", 0, 2 ** 63 - 1)
    ranges = {}
    for path, leaf in _leaves(Node(table, node.place), lambda n: isinstance(n.value, dict) and "low" in n.value):
        ranges[write_key(path)] = _range(path, leaf)
    draw = np.random.Generator(np.random.Philox(key=np.array([seed, 0], np.uint64)))
    columns = {key: [at(float(u)) for u in (draw.permutation(count) + draw.random(count)) / count]
               for key, at in ranges.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _range(path: KeyPath, leaf: Node) -> Callable[[float], Any]:
    """From 0..1 to a value between low and high, with their unit."""
    name = f"sample.{write_key(path)}"
    table = _raw(leaf) if isinstance(leaf.value, dict) else {}
    example = 'for example { low = "0.1 S/m", high = "0.3 S/m" }'
    for key in table:
        if key not in ("low", "high", "scale"):
            raise CaseError(leaf.place, f"{name}: unknown key {key!r}", did_you_mean(key, ("low", "high", "scale")))
    if "low" not in table or "high" not in table:
        raise CaseError(leaf.place, f"{name}: expected a range", example)
    (low, unit), (high, other) = (number_of(table[end]) for end in ("low", "high"))
    whole = isinstance(table["low"], int) and isinstance(table["high"], int)
    if low is None or high is None or unit != other:
        raise CaseError(leaf.place, f"{name}: low and high are no numbers of one unit", example)
    if not low < high:
        raise CaseError(leaf.place, f"{name}: low is not below high", example)
    scale = table.get("scale", "linear")
    if scale not in ("linear", "log"):
        raise CaseError(leaf.place, f"{name}: scale is {scale!r}", "take 'linear' or 'log'")
    if scale == "log" and low <= 0.0:
        raise CaseError(leaf.place, f"{name}: a log scale needs a low above 0", 'or take scale = "linear"')

    def at(u: float) -> Any:
        if whole:
            return min(low + int(u * (high - low + 1)), high)
        value = low * (high / low) ** u if scale == "log" else low + u * (high - low)
        return f"{value:.9g}{unit if unit == '%' else ' ' + unit}" if unit else float(f"{value:.9g}")
    return at


def number_of(value: Any) -> tuple[Any, str]:
    """A number and its unit; None for what is neither."""
    if isinstance(value, str) and (found := _QUANTITY.fullmatch(value)):
        return float(found[1]), found[2]
    return (value, "") if isinstance(value, (int, float)) and not isinstance(value, bool) else (None, "")


def _table(node: Node) -> list[Values]:
    file = node.value.get("file") if isinstance(node.value, dict) else None
    if file is None or not isinstance(file.value, str) or len(node.value) > 1:
        raise CaseError(node.place, "table: expected one key, file", 'for example file = "members.csv"')
    path = file.folder / file.value
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.reader(lines))
    except FileNotFoundError:
        near = nearest(path.name, nearby(path, path.suffix))
        raise CaseError(file.place, f"table.file: there is no file {file.value!r}", f"did you mean {near!r}?" if near
                        else "relative paths start from the folder of the study") from None
    except OSError as error:
        raise CaseError(file.place, f"table.file: {file.value!r} cannot be read: {error.strerror}",
                        "name a file of comma-separated values") from None
    except (ValueError, csv.Error):
        raise CaseError(file.place, f"table.file: {file.value!r} is no text of comma-separated values",
                        "save it as CSV in UTF-8") from None
    rows = [row for row in rows if row]
    if len(rows) < 2:
        raise CaseError(file.place, f"table.file: {file.value!r} has no members",
                        "its first line names keys of the case, every other is a member")
    names = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            raise CaseError(file.place, f"table.file: line {number} of {file.value!r} has {len(row)} cells for "
                            f"{len(names)} keys", "give every member a value of every key")
    return [{name: _cell(cell.strip()) for name, cell in zip(names, row, strict=True)} for row in rows[1:]]


def _cell(text: str) -> Any:
    """A cell as a number, true or false where it is one, else text."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


_AXES: dict[str, Callable[[Node], list[Values]]] = {"grid": _grid, "list": _list, "sample": _sample, "table": _table}


def _leaves(node: Node, is_leaf: Callable[[Node], bool]) -> Iterator[tuple[KeyPath, Node]]:
    """The keys below a table; `time.dt` may be written with its dots or as tables."""
    if not isinstance(node.value, dict) or not node.value:
        raise CaseError(node.place, "expected keys of the case and their values",
                        'for example time.dt = ["0.01 ms", "0.02 ms"]')
    for name, child in node.value.items():
        path = tuple(name.split(".")) if re.fullmatch(r"[\w-]+(\.[\w-]+)+", name) else (name,)
        if isinstance(child.value, dict) and not is_leaf(child):
            yield from (((*path, *more), leaf) for more, leaf in _leaves(child, is_leaf))
        else:
            yield path, child


def _whole(node: Node | None, table: Node, name: str, low: int, high: int) -> int:
    if node is None:
        raise CaseError(table.place, f"sample.{name}: missing", f"add {name} = 64")
    if not isinstance(node.value, int) or isinstance(node.value, bool) or not (
            low <= node.value <= high):
        raise CaseError(node.place, f"sample.{name}: expected a whole number from {low} to {high:,}",
                        f"for example {name} = 64")
    return node.value


def _raw(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {name: _raw(child) for name, child in node.value.items()}
    return [_raw(child) for child in node.value] if isinstance(node.value, list) else node.value


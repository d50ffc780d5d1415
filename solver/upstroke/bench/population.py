"""Populations: cells that each have parameters and initial states of their own, drawn or read from a file.

    --vary "GKr=lognormal(1,0.2), GNa=uniform(0.5,1.5)"      the model's value times a number drawn for each cell
    --vary "GKr:=uniform(0.1,0.2), V:=normal(-85,2)"         the value itself, of a parameter or of an initial state
    --csv cells.csv                                          one row a cell, names on top, the values themselves
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upstroke.bench.reading import finite, number_of
from upstroke.errors import OptionError, Place, did_you_mean
from upstroke.ionic.spelling import respelled

if TYPE_CHECKING:
    from upstroke.ionic.model import Model

Floats = NDArray[np.float64]

_COMMAS = re.compile(r",(?![^(\[]*[)\]])")                       # those outside of brackets
_VARIED = re.compile(r"(?P<name>[A-Za-z_][\w.]*)\s*(?P<how>:=|=|\*)\s*"
                     r"(?P<kind>[a-z]*)\s*[(\[](?P<numbers>[^()\[\]]*)[)\]]")
_VARY_FORM = "write NAME=uniform(0.5,1.5), NAME*normal(1,0.1) or NAME:=[10,12,14]"


# ------------------------------------------------------------------------------------------------ distributions
@dataclass(frozen=True)
class Distribution:
    """A distribution by name. ``quantile(u, *numbers)`` takes u in (0, 1); ``wrong`` says which numbers cannot be."""

    numbers: tuple[str, ...]
    quantile: Callable[..., Floats]
    wrong: Callable[..., bool]
    must: str


def _normal(u: Floats) -> Floats:
    from scipy.special import ndtri

    return np.asarray(ndtri(u), np.float64)


def _listed(u: Floats, *values: float) -> Floats:
    return np.sort(values)[np.minimum((u * len(values)).astype(int), len(values) - 1)]


#: What a number can be drawn from. A lognormal has its median and the standard deviation of its natural logarithm.
DISTRIBUTIONS: dict[str, Distribution] = {
    "uniform": Distribution(("low", "high"), lambda u, low, high: low + (high - low) * u,
                            lambda low, high: low > high, "low must not lie above high"),
    "loguniform": Distribution(("low", "high"), lambda u, low, high: low * (high / low) ** u,
                               lambda low, high: not 0 < low <= high, "0 < low <= high must hold"),
    "normal": Distribution(("mean", "sd"), lambda u, mean, sd: mean + sd * _normal(u),
                           lambda mean, sd: sd < 0, "sd must not be negative"),
    "lognormal": Distribution(("median", "sigma"), lambda u, median, sigma: median * np.exp(sigma * _normal(u)),
                              lambda median, sigma: median <= 0 or sigma < 0,
                              "median must be positive, sigma not negative"),
}


@dataclass(frozen=True)
class Variation:
    """What one name of ``--vary`` is drawn from. ``how``: "=" or "*", factors of the model's value; ":=", values."""

    name: str
    how: str
    kind: str                                   # of DISTRIBUTIONS; "" for a list
    numbers: tuple[float, ...]

    def quantile(self, u: Floats) -> Floats:
        """The numbers at which the distribution is u."""
        return (DISTRIBUTIONS[self.kind].quantile if self.kind else _listed)(u, *self.numbers)

    def __str__(self) -> str:
        numbers = ",".join(f"{x:g}" for x in self.numbers)
        return f"{self.kind}({numbers})" if self.kind else f"[{numbers}]"


def parse_vary(text: str) -> tuple[Variation, ...]:
    """The entries of ``--vary``; OptionError for one that cannot be read."""
    found = []
    for entry in (part.strip() for part in _COMMAS.split(text)):
        if not (match := _VARIED.fullmatch(entry)):
            raise OptionError("--vary", f"cannot read '{entry}'", _VARY_FORM)
        kind = match["kind"]
        if kind and kind not in DISTRIBUTIONS:
            raise OptionError("--vary", f"no distribution '{kind}'", did_you_mean(kind, DISTRIBUTIONS))
        numbers = tuple(number_of("--vary", word, entry) for word in match["numbers"].split(","))
        if kind:
            its = DISTRIBUTIONS[kind]
            if len(numbers) != len(its.numbers):
                raise OptionError("--vary", f"'{entry}': {kind} takes {len(its.numbers)} numbers, not {len(numbers)}",
                                  f"write {kind}({','.join(its.numbers)})")
            if its.wrong(*numbers):
                raise OptionError("--vary", f"'{entry}': {its.must}", f"write {kind}({','.join(its.numbers)})")
        found.append(Variation(match["name"], match["how"], kind, numbers))
    return tuple(found)


# ------------------------------------------------------------------------------------------------ cells
@dataclass(frozen=True, eq=False)
class Population:
    """What differs between n cells: parameters and initial states, (n,) each, by the model's own names."""

    n: int
    parameters: dict[str, Floats]
    initial: dict[str, Floats]

    @property
    def columns(self) -> dict[str, Floats]:
        """All of it."""
        return {**self.parameters, **self.initial}


def draw(text: str, model: Model, n: int, sampling: str = "random", rseed: int = 1) -> Population:
    """The n cells that ``--vary`` asks for; the same ``rseed`` gives the same cells.

    ``sampling``: "random" draws independently; "lhs" (Latin hypercube) puts one cell into each of n equal slices of
    every distribution; "sobol" fills the space of all of them evenly, best with n a power of two.

    Raises
    ------
    OptionError : the text cannot be read, or does not fit the model
    """
    from upstroke.ionic.evaluate import initial_state

    variations = parse_vary(text)
    own = _names(model, {v.name: v for v in variations}, "--vary")
    if len(own) < len(variations):
        names = [v.name for v in variations]
        raise OptionError("--vary", f"{next(m for m in names if names.count(m) > 1)} is given twice", "keep one")
    defaults = {p.name: p.value for p in model.parameters}
    defaults |= {name: value for name, value in initial_state(model).items() if name in own}
    columns = {}
    for u, (name, variation) in zip(_unit_cube(n, len(own), sampling, rseed).T, own.items(), strict=True):
        numbers = variation.quantile(u)
        if variation.how != ":=":
            _check_factor(name, defaults[name], variation, numbers)
            numbers = defaults[name] * numbers
        columns[name] = numbers
    return _population(model, n, columns)


def _unit_cube(n: int, dimensions: int, sampling: str, rseed: int) -> Floats:
    """n points in the open unit cube, (n, dimensions)."""
    from scipy.stats import qmc

    random = np.random.default_rng(rseed)
    if sampling == "lhs":
        points = qmc.LatinHypercube(dimensions, seed=random).random(n)
    elif sampling == "sobol":
        points = qmc.Sobol(dimensions, seed=random).random_base2((n - 1).bit_length())[:n]
    else:
        points = random.random((n, dimensions))
    return np.clip(points, 2.0**-53, 1 - 2.0**-53)


def _check_factor(name: str, default: float, variation: Variation, numbers: Floats) -> None:
    """A factor that cannot be meant is an error."""
    tail = 0.00135 if "normal" in variation.kind else 0.0                   # three standard deviations to each side
    low, high = variation.quantile(np.array([tail, 1 - tail]))
    if variation.how == "=" and not low <= 1 <= high:
        raise OptionError("--vary", f"{name}={variation} would be {low:.3g} to {high:.3g} times its value {default:g}",
                          f"write {name}:={variation} for the values themselves, {name}*{variation} for factors")
    if default == 0:
        raise OptionError("--vary", f"{name} is 0, and so it stays times {variation}",
                          f"write {name}:=... for the values themselves")
    if (numbers < 0).any():
        cell = int((numbers < 0).argmax())
        raise OptionError("--vary", f"{name} of cell {cell} is {numbers[cell]:g} times its value {default:g}: "
                          "the sign turns", f"take lognormal or uniform, or {name}:=... for the values themselves")


def _names(model: Model, given: Mapping[str, Any], where: str | Place) -> dict[str, Any]:
    """What is given, by the model's names of parameters and states."""
    def wrong(what: str, remedy: str) -> None:
        raise OptionError(where, f"{what} in model {model.name}", remedy)

    known = [p.name for p in model.parameters] + ["V", *(s.name for s in model.states)]
    return respelled(given, known, wrong, "parameter or state")


def _population(model: Model, n: int, columns: Mapping[str, Floats]) -> Population:
    parameters = {p.name for p in model.parameters}
    return Population(n, {k: v for k, v in columns.items() if k in parameters},
                      {k: v for k, v in columns.items() if k not in parameters})


# ------------------------------------------------------------------------------------------------ files
def read_population(path: Path, model: Model) -> Population:
    """Cells from a CSV file: names of parameters and states on top, then one row of values a cell.

    Raises
    ------
    OptionError : the file cannot be read, or does not fit the model
    """
    names, rows = _read_csv(path)
    places = {name: k for k, name in enumerate(names)}
    for name in names:
        _names(model, {name: None}, Place(str(path), 1, places[name] + 1))
    own = _names(model, places, Place(str(path), 1))
    table = np.empty((len(rows), len(names)))
    for k, (line, row) in enumerate(rows):
        if len(row) != len(names):
            raise OptionError(Place(str(path), line), f"{len(row)} values in a row, and {len(names)} names on top",
                              "give every cell one value of each name")
        for column, word in enumerate(row):
            number = finite(word)
            if number is None:
                raise OptionError(Place(str(path), line, column + 1),
                                  f"'{word.strip()}' in column {names[column]} is no number", "give finite numbers")
            table[k, column] = number
    return _population(model, len(rows), {name: table[:, column] for name, column in own.items()})


def _read_csv(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names, and the rows with their lines."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, row) for row in reader if any(word.strip() for word in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8 with commas"
        raise OptionError(str(path), f"cannot read the cells: {reason}", "give the path of a .csv file") from None
    if len(rows) < 2:
        raise OptionError(str(path), "no cells in it", "write names on top, then one row a cell")
    names = [word.strip() for word in rows[0][1]]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise OptionError(Place(str(path), 1), f"two columns are called '{twice}'", "keep one")
    return names, rows[1:]

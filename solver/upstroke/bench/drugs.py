"""Drugs: what ``--block`` does to currents, at one concentration or at several.

    --block "IKr:IC50=1.2,hill=0.9,conc=3"                   the conductance of IKr times 1/(1 + (conc/IC50)^hill)
    --block "IKr:IC50=1.2,conc=0.1:100:7; INa:IC50=30"       a drug with two targets, at 7 concentrations, log-spaced
    --block "IKr:kon=2,koff=0.01,states=O|I,conc=0,0.1,1"    a Markov channel whose states O and I bind the drug

Every ``--block`` is a drug. Several of them act together, their factors multiply, and all their concentrations are
combined. ``conc`` and IC50 are in one unit, any one; so are ``conc`` and 1/(kon ms). koff is in 1/ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from upstroke.bench.binding import bind, concentration_of
from upstroke.bench.currents import conductance
from upstroke.bench.population import Floats, Population
from upstroke.bench.reading import number_of
from upstroke.errors import OptionError, did_you_mean
from upstroke.ionic.model import Model

WHERE = "--block"
_KEYS = ("IC50", "hill", "kon", "koff", "states", "conc")
_FORM = 'write "IKr:IC50=1.2,hill=0.9,conc=3" or "IKr:kon=2,koff=0.01,states=O|I,conc=3"'


@dataclass(frozen=True)
class Hill:
    """The conductance of a current times 1/(1 + (conc/IC50)^hill)."""

    current: str
    IC50: float
    hill: float = 1.0

    def factor(self, conc: Floats) -> Floats:
        """What is left of the conductance."""
        return 1.0 / (1.0 + (conc / self.IC50) ** self.hill)


@dataclass(frozen=True)
class Binding:
    """States of a current's Markov chain, all where ``states`` is empty, bind with kon conc and leave with koff."""

    current: str
    kon: float
    koff: float
    states: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Drug:
    """What one ``--block`` says; ``conc`` are its concentrations."""

    targets: tuple[Hill | Binding, ...]
    conc: Floats

    @property
    def column(self) -> str:
        """What its concentration is called in tables."""
        return f"conc_{self.targets[0].current}"


# ------------------------------------------------------------------------------------------------ reading
def parse_block(text: str) -> Drug:
    """One ``--block``; OptionError where it cannot be read."""
    targets: list[Hill | Binding] = []
    conc: Floats | None = None
    for entry in (part.strip() for part in text.split(";")):
        current, values = _entry(entry)
        if "conc" in values:
            if conc is not None:
                raise OptionError(WHERE, f"'{entry}': conc is given twice for one drug",
                                  "keep one, or give a --block to each drug")
            conc = _concentrations(values.pop("conc"), entry)
        targets.append(_target(current, values, entry))
    if conc is None:
        raise OptionError(WHERE, f"'{text}' has no concentration", "add conc=3, conc=0,1,10 or conc=0.1:100:7")
    return Drug(tuple(targets), conc)


def _entry(entry: str) -> tuple[str, dict[str, str]]:
    """The current, and values by key; a word without a key goes on with the value before it."""
    current, _, rest = (part.strip() for part in entry.partition(":"))
    values: dict[str, str] = {}
    key = ""
    for word in (part.strip() for part in rest.split(",")):
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals and key:
            values[key] += f",{word}"
            continue
        if not (current and equals and value):
            raise OptionError(WHERE, f"cannot read '{entry}'", _FORM)
        key = next((k for k in _KEYS if k.lower() == name.lower()), "")
        if not key:
            raise OptionError(WHERE, f"'{entry}': no value is called '{name}'", did_you_mean(name, _KEYS))
        if key in values:
            raise OptionError(WHERE, f"'{entry}': {key} is given twice", "keep one")
        values[key] = value
    return current, values


def _target(current: str, values: Mapping[str, str], entry: str) -> Hill | Binding:
    hill, binding = ({*keys} & values.keys() for keys in (("IC50", "hill"), ("kon", "koff", "states")))
    if hill and binding:
        raise OptionError(WHERE, f"'{entry}': {min(hill)} and {min(binding)} belong to different kinds of block", _FORM)
    needed = ("kon", "koff") if binding else ("IC50",)
    for key in needed:
        if key not in values:
            raise OptionError(WHERE, f"'{entry}' has no {key}", _FORM)
    numbers = {key: number_of(WHERE, values[key], entry) for key in values if key != "states"}
    for key, number in numbers.items():
        if number < 0 or (number == 0 and key in ("IC50", "hill")):
            raise OptionError(WHERE, f"'{entry}': {key} is {number:g}", "give a positive number")
    if not binding:
        return Hill(current, **numbers)
    states = tuple(word.strip() for word in values.get("states", "").split("|") if word.strip())
    return Binding(current, states=states, **numbers)


def _concentrations(text: str, entry: str) -> Floats:
    if ":" not in text:
        conc = np.array([number_of(WHERE, word, entry) for word in text.split(",")])
        if (conc < 0).any():
            raise OptionError(WHERE, f"'{entry}': a concentration is {conc.min():g}", "give numbers from 0 on")
        return conc
    words = text.split(":")
    numbers = [number_of(WHERE, word, entry) for word in words]
    if len(numbers) != 3 or not 0 < numbers[0] < numbers[1] or numbers[2] < 2 or numbers[2] % 1:
        raise OptionError(WHERE, f"'{entry}': conc={text} is no sweep",
                          "write conc=FROM:TO:COUNT with 0 < FROM < TO and COUNT from 2 on, say conc=0.1:100:7")
    return np.geomspace(numbers[0], numbers[1], int(numbers[2]))


# ------------------------------------------------------------------------------------------------ acting
def with_binding(model: Model, drugs: Sequence[Drug]) -> Model:
    """The model with drug-bound states for each Markov channel that a drug binds to; itself where there is none."""
    for target in (t for drug in drugs for t in drug.targets):
        if isinstance(target, Binding):
            model = bind(model, target.current, target.kon, target.koff, target.states)
    return model


@dataclass(frozen=True, eq=False)
class Doses:
    """Concentrations of every drug for each of the cells: all cells at the first dose, then at the next one.

    ``columns`` are (n,) each; ``factors`` are those of Hill blocks by conductance; ``effects`` say what is scaled.
    """

    count: int
    columns: dict[str, Floats]
    factors: dict[str, Floats]
    effects: tuple[str, ...]


def doses(model: Model, drugs: Sequence[Drug], n: int = 1) -> Doses:
    """What the drugs do to n cells at each combination of their concentrations.

    ``model`` is that of ``with_binding``. Raises ModelError where a current's conductance cannot be told.
    """
    names = [drug.column for drug in drugs]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        current = twice.removeprefix("conc_")
        raise OptionError(WHERE, f"two drugs name {current} first", "name another target of one of them first")
    grid = np.meshgrid(*(drug.conc for drug in drugs), indexing="ij")
    conc = [np.repeat(axis.ravel(), n) for axis in grid]
    factors: dict[str, Floats] = {}
    effects = []
    for drug, levels in zip(drugs, conc, strict=True):
        for target in drug.targets:
            if isinstance(target, Binding):
                states = ", ".join(target.states) or "all states"
                effects.append(f"{target.current}: {states} bind, kon {target.kon:g}, koff {target.koff:g}")
                continue
            found = conductance(model, target.current)
            left = target.factor(levels)
            factors[found.parameter] = factors.get(found.parameter, np.ones(len(levels))) * left
            low, high = left.min(), left.max()
            span = f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
            also = f", which scales {', '.join(found.currents)}" if len(found.currents) > 1 else ""
            effects.append(f"{target.current}: {found.parameter} * {span}{also}")
    return Doses(grid[0].size, dict(zip(names, conc, strict=True)), factors, tuple(effects))


def dosed(model: Model, drugs: Sequence[Drug], cells: Population) -> tuple[Population, Doses]:
    """Every cell at every dose, (doses x n) cells, and their doses."""
    of = doses(model, drugs, cells.n)
    values = {p.name: p.value for p in model.parameters}
    parameters = {name: np.tile(column, of.count) for name, column in cells.parameters.items()}
    for name, factor in of.factors.items():
        parameters[name] = parameters.get(name, values[name]) * factor
    for drug in drugs:
        for target in drug.targets:
            if isinstance(target, Binding):
                name = concentration_of(model, target.current)
                if name in parameters:
                    raise OptionError(WHERE, f"{name} differs between cells, and the block gives it too",
                                      "leave it to the block")
                parameters[name] = of.columns[drug.column]
    initial = {name: np.tile(column, of.count) for name, column in cells.initial.items()}
    return Population(cells.n * of.count, parameters, initial), of


def by_dose(of: Doses, table: Mapping[str, Floats]) -> dict[str, Floats]:
    """A row a dose: its concentrations, and of every feature the median of the cells that have it."""
    rows = {name: column.reshape(of.count, -1)[:, 0] for name, column in of.columns.items()}
    for name, column in table.items():
        cells = column.reshape(of.count, -1)
        rows[name] = np.array([np.nan if np.isnan(row).all() else np.nanmedian(row) for row in cells])
    return rows

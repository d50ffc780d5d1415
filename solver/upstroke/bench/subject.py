"""What an experiment is made on: the model, the cells that differ from it, where they start, and who computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from upstroke.backend import Backend, open_backend
from upstroke.bench.cells import Cells, Inputs
from upstroke.bench.drugs import Doses, dosed, parse_block, with_binding
from upstroke.bench.modifiers import Choice, chosen, echo
from upstroke.bench.options import Options
from upstroke.bench.parts import calcium
from upstroke.bench.population import Population, draw, read_population
from upstroke.bench.statefile import read_cells, read_state, sv_init
from upstroke.ionic.model import Model

MANY = 2000          # cells from which on a GPU is worth its launches
FEW = 256            # cells that one thread does best


@dataclass(frozen=True, eq=False)
class Subject:
    """Cells of a model before anything is done to them.

    Attributes
    ----------
    model : with its plug-ins
    population : what differs between its cells, at every dose
    drawn : what differed between them before there were drugs
    doses : of the drugs
    initial : V and states to start from in place of the model's: numbers, or (n,)
    dt : ms
    text : what became of the model's parameters, as openCARP prints it
    changed : parameters that are not the file's, and what they are
    notes : what the user should know
    """

    model: Model
    population: Population
    drawn: Population
    doses: Doses | None
    initial: dict[str, Any]
    dt: float
    backend: Backend
    text: str
    changed: dict[str, float]
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """How many cells."""
        return self.population.n

    @property
    def calcium(self) -> str:
        """The state whose transient is measured, "" where the model has none."""
        name = calcium(self.model)
        return name if name and any(s.name == name for s in self.model.states) else ""

    def cells(self, inputs: Inputs, beats: int) -> Cells:
        """All cells, with what is done to them."""
        return Cells(self.model, inputs, self.dt, n=self.n, initial=self.initial,
                     parameters=self.changed | self.population.parameters, backend=self.backend, beats=beats,
                     calcium=self.calcium)

    def copies(self, inputs: Inputs, initial: Mapping[str, Any], beats: int = 1) -> Cells:
        """Cells like the first one, one for each train of the inputs, from a state."""
        n = inputs.starts.shape[1]
        own = self.changed | {name: float(np.ravel(value)[0]) for name, value in self.population.parameters.items()}
        return Cells(self.model, inputs, self.dt, n=n, train=range(n), parameters=own, initial=dict(initial),
                     backend=self.backend, beats=beats, calcium=self.calcium)


def prepare(options: Options) -> Subject:
    """The subject that the options ask for.

    Raises
    ------
    OptionError, ModelError for names and files that do not fit; BackendError where the device cannot be had
    """
    choice = chosen(options)
    model = choice.load()
    text = echo(choice, model)
    drugs = [parse_block(block) for block in options["block"]]
    model = with_binding(model, drugs)
    if options.given("csv"):
        population = read_population(options["csv"], model)
    elif options.given("vary"):
        population = draw(options["vary"], model, options["num"], options["sampling"], options["rseed"])
    else:
        population = Population(options["num"], {}, {})
    drawn, doses = population, None
    if drugs:
        population, doses = dosed(model, drugs, population)
        text = "\n".join([text, *(f"Block: {effect}" for effect in doses.effects)])
    initial, parameters, notes = _start(options, model, population.n)
    population = replace(population, parameters=parameters | population.parameters)
    return Subject(model, population, drawn, doses, initial | population.initial, options["dt"],
                   _backend(options, population.n), text, _changed(choice, model), notes)


def _start(options: Options, model: Model, n: int) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
    """Values to start from, parameters of cells that a file gives, and notes."""
    values: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    if options.given("restore"):
        saved = read_cells(options["restore"], model, n)
        values, parameters, notes = saved.values, saved.parameters, saved.notes
    elif options.given("read-ini-file"):
        saved = read_state(options["read-ini-file"], model)
        values, notes = saved.values, saved.notes
    return values | sv_init(options["SV-init"], model), parameters, notes


def _changed(choice: Choice, model: Model) -> dict[str, float]:
    """Parameters that are not as in the files, by their names in the model that holds all parts."""
    def without_numbers(changes: Mapping[str, float | str]) -> dict[str, float | str]:
        return {name: change for name, change in changes.items() if str(change)[0] not in "=+-*/"}

    plain = replace(choice, parameters=without_numbers(choice.parameters),
                    plugins={name: without_numbers(changes) for name, changes in choice.plugins.items()})
    if plain == choice:
        return {}
    before = {p.name: p.value for p in plain.load().parameters}
    return {p.name: p.value for p in model.parameters if before.get(p.name) != p.value and p.name in before}


def _backend(options: Options, n: int) -> Backend:
    device = options["backend"]
    if device == "auto" and n < MANY:
        device = "cpu"
    return open_backend(device, options["threads"] or (1 if n <= FEW else 0), options["precision"])

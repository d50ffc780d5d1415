"""A model's equations -> the statements that one node executes, the same text for every frame.

Names in the text: ``v_X`` value of X at the start of the step (a state: its current value), ``v1_X`` at stage 1,
``r_X`` and ``r1_X`` rates, ``slope_X`` d(rate)/dX, ``inf_X`` steady state, ``u_X`` update of a stored state, ``m0_1``,
``q1_0`` a linear system (``elimination``), ``e_X``, ``h0``, ``n0_X`` of ``events``. What the frame supplies begins with
``up_``; no name of a model stands alone, so none clashes with C or CUDA.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from upstroke.codegen import events
from upstroke.codegen.elimination import Elimination
from upstroke.codegen.expressions import Printer
from upstroke.errors import ModelError, did_you_mean
from upstroke.ionic.expr import Expr
from upstroke.ionic.methods import METHODS, STORE, Method
from upstroke.ionic.model import Definition, Model, State
from upstroke.ionic.symbolic import ZERO, free_names

MOST_PRODUCTS = 1000    # of an elimination that is written out: what a dense system of 14 states takes


@dataclass(frozen=True)
class Text:
    """Statements in the order in which a frame uses them."""

    constants: tuple[str, ...]   # once per call: parameters that no node changes
    load: tuple[str, ...]        # once per node: what memory holds, and what depends on parameters alone
    step: tuple[str, ...]        # once per step
    store: tuple[str, ...]       # once per node: all but V, whose place the frame knows


@dataclass(frozen=True)
class Layout:
    """Where a kernel keeps what: names in the order of their rows in S, W, P and N."""

    single: bool
    states: tuple[str, ...]
    wide: tuple[str, ...]
    uniform: tuple[str, ...]
    nodal: tuple[str, ...]

    def place(self, state: str) -> str:
        """The memory of a state at the node."""
        array, row = ("W", self.wide.index(state)) if state in self.wide else ("S", self.narrow.index(state))
        return f"up_{array}[{row} * up_stride + up_i]"

    @property
    def narrow(self) -> tuple[str, ...]:
        """The states in S."""
        return tuple(name for name in self.states if name not in self.wide)


def lay_out(model: Model, precision: str, uniform: Sequence[str], nodal: Sequence[str]) -> Layout:
    """Rows of all arrays. With "mixed", states that accumulate small increments are wide; gates are not."""
    known = {p.name for p in model.parameters}
    for name in (*uniform, *nodal):
        if name not in known:
            raise ModelError(model.file, f"{model.name} has no parameter {name!r}", did_you_mean(name, known))
    if twice := sorted(set(uniform) & set(nodal)):
        raise ModelError(model.file, f"parameter {twice[0]!r} is asked for both as uniform and as nodal",
                         "choose one of the two")
    wide = tuple(s.name for s in model.states
                 if precision == "mixed" and s.method != STORE
                 and not (METHODS[s.method].exponential and s.slope is not None))
    return Layout(precision != "fp64", tuple(s.name for s in model.states), wide, tuple(uniform), tuple(nodal))


class Body:
    """Writes the statements of one model."""

    GIVEN: frozenset[str] = frozenset()     # what no step changes, beside parameters and dt

    def __init__(self, model: Model, layout: Layout) -> None:
        self._model = model
        self._layout = layout
        self._sorted = (*model.definitions, *self._derivatives(model))
        self._definitions = {d.name: d for d in self._sorted}
        self._used = {d.name: free_names(d.expr) for d in self._sorted}
        self._states = {s.name: s for s in model.states}
        self._constant = {p.name for p in model.parameters} | {"dt"} | self.GIVEN
        for definition in self._sorted:        # sorted: a definition of constants alone is one itself
            if self._used[definition.name] <= self._constant:
                self._constant.add(definition.name)
        literals = {p.name for p in model.parameters} - {*layout.uniform, *layout.nodal}
        for definition in self._sorted:
            if self._used[definition.name] <= literals:
                literals.add(definition.name)
        self._printer = Printer(layout.single, literals)
        if model.iion is None:
            raise ModelError(model.file, f"{model.name} has no membrane current Iion", "add  Iion = ...;")
        self._iion: Expr = model.iion
        self._methods = self._choose_methods()
        self._stages = max(self._methods.values(), key=lambda m: m.stages, default=METHODS["fe"])
        self._implicit = self._make_elimination()

    def _derivatives(self, model: Model) -> tuple[Definition, ...]:
        """The definitions that the derivatives rest on which the statements need."""
        return model.jacobian.definitions

    def _choose_methods(self) -> dict[str, Method]:
        """The method of V and of each state that has a rate; all must share their stages' times."""
        if METHODS[self._model.v_method].needs_slope:
            able = [m.name for m in METHODS.values() if not m.needs_slope]
            raise ModelError(self._model.file, f"V cannot take method {self._model.v_method!r}",
                             f"choose {', '.join(able[:-1])} or {able[-1]} for V")
        methods = {"V": METHODS[self._model.v_method]}
        methods |= {s.name: METHODS[s.method] for s in self._model.states if s.method != STORE}
        longest = max(methods.values(), key=lambda m: m.stages)
        for name, method in methods.items():
            if method.c != longest.c[:method.stages]:
                raise ModelError(self._model.file, f"method {method.name!r} of {name} does not go with "
                                 f"{longest.name!r} in one model", "choose one of them for all states")
        return methods

    def _make_elimination(self) -> Elimination:
        """The linear system of all states whose method is linearly implicit: one block for each such method."""
        names = [name for name, method in self._methods.items() if method.gamma]
        entries = [pair for pair in self._model.jacobian.entries if set(pair) <= set(names)]
        system = Elimination(names, entries)
        if system.products > MOST_PRODUCTS:
            raise ModelError(self._model.file, f"the linear system of {len(names)} states takes {system.products} "
                             f"products in a step, more than {MOST_PRODUCTS}",
                             "give fewer states the method rosenbrock or markov_be")
        return system

    # ------------------------------------------------------------------------------------------- functions
    def advance(self) -> Text:
        """One step of every method: stages jointly, each with what it needs; then new values from old ones."""
        step: list[str] = []
        for stage in range(self._stages.stages):
            step += self._stage(stage)
        roots = [e for stage in range(self._stages.stages) for e in self._stage_roots(stage)]
        roots += events.roots(self._model.events)
        states = self._layout.states
        return Text(
            constants=self._parameters(roots, nodal=False),
            load=(*self._parameters(roots, nodal=True), *self._load(states), *self._define_constants(roots)),
            step=(*step, *self._commit()),
            store=(*self._store(states), "up_Iion[up_i] = up_I;"),
        )

    def rates(self) -> Text:
        """Rates at the present values, by the same expressions; a stored state has none: 0."""
        rates = {s.name: s.rate for s in self._model.states if s.rate is not None}
        roots = [self._iion, *rates.values()]
        step = [*self._define(self._closure(roots), 0), self._current(0)]
        step += [f"up_dV[up_i] = {self._membrane(0)};   /* mV/ms */"]
        for name in self._layout.states:
            array = self._layout.place(name).replace("up_", "up_d", 1)
            step.append(f"{array} = {self._value(rates[name], 0) if name in rates else self._printer.number(0.0)};")
        loaded = [s.name for s in self._model.states if s.name in self._names(roots)]
        return Text(
            constants=self._parameters(roots, nodal=False),
            load=(*self._parameters(roots, nodal=True), *self._load(loaded), *self._define_constants(roots)),
            step=tuple(step),
            store=(),
        )

    # ---------------------------------------------------------------------------------------------- stages
    @property
    def _v_stages(self) -> int:
        return self._methods["V"].stages if "V" in self._methods else 0

    def _stage_roots(self, stage: int) -> list[Expr]:
        """The expressions that a stage evaluates: Iion and rates of the methods that have this stage."""
        roots: list[Expr] = [self._iion, *self._v_slope().values()] if stage < self._v_stages else []
        for state in self._model.states:
            if state.method == STORE:
                roots += [state.update] if stage == 0 and state.update is not None else []
            elif stage < self._methods[state.name].stages:
                roots += self._slopes(state).values()
        return roots if stage else roots + [self._model.jacobian.entries[pair] for pair in self._coupled()]

    def _coupled(self) -> list[tuple[str, str]]:
        """The entries of the linear system's Jacobian."""
        return [pair for pair in self._model.jacobian.entries if set(pair) <= set(self._implicit.unknowns)]

    def _slopes(self, state: State) -> dict[str, Expr]:
        """What a state's method evaluates at a stage, by prefix of the C name."""
        method = METHODS[state.method]
        assert state.rate is not None
        if method.exponential and method.needs_slope and state.slope is None:
            raise ModelError(state.place, f"{state.name} cannot take {method.name}: its rate is not affine in it",
                             "choose fe, rk2 or rk4")
        if not method.exponential:
            return {"r": state.rate}
        if state.steady is not None and state.slope is not None:
            return {"inf": state.steady, "slope": state.slope}
        return {"r": state.rate, "slope": self._slope(state.name)}

    def _slope(self, name: str) -> Expr:
        """d(rate)/dX of a state by itself; that of V is yet to be divided by C_m."""
        slope = self._states[name].slope if name in self._states else None
        return self._model.jacobian.entries[name, name] if slope is None else slope

    def _v_slope(self) -> dict[str, Expr]:
        return {"slope": self._slope("V")} if self._methods["V"].exponential else {}

    def _stage(self, stage: int) -> list[str]:
        roots = self._stage_roots(stage)
        time = f"t + {self._stages.c[stage]:g} dt" if stage else "t"
        lines = [f"/* stage {stage}: {time} */"] if self._stages.stages > 1 else []
        needed = self._closure(roots)
        if stage:
            lines += self._intermediate_values(needed, roots, stage)
        lines += self._define(needed, stage)
        if stage < self._v_stages:
            lines += [self._current(stage), self._rate("V", self._membrane(stage), stage) + "   /* mV/ms */"]
            lines += [f"const real {_at('slope', stage)}_V = up_finite(up_div({self._value(slope, stage)}, up_Cm));"
                      for slope in self._v_slope().values()]
        for state in self._model.states:
            if state.method == STORE:
                if stage == 0 and state.update is not None:
                    lines.append(f"const real u_{state.name} = {self._value(state.update, 0)};")
            elif stage < self._methods[state.name].stages:
                for prefix, expr in self._slopes(state).items():
                    value = self._value(expr, stage)
                    if prefix == "slope" and state.slope is None:
                        value = f"up_finite({value})"
                    lines.append(self._rate(state.name, value, stage) if prefix == "r"
                                 else f"const real {_at(prefix, stage)}_{state.name} = {value};")
        return [*lines, *self._solve(stage)]

    def _rate(self, name: str, value: str, stage: int) -> str:
        """A rate; of a linearly implicit method the right-hand side, which its solution replaces."""
        if name not in self._implicit.unknowns:
            return f"const real {_at('r', stage)}_{name} = {value};"
        before = f" - {_at('r', stage - 1)}_{name}" if stage else ""
        return f"real {_at('r', stage)}_{name} = {value}{before};"

    def _solve(self, stage: int) -> list[str]:
        """(I - gamma dt J) (k_i - k_(i-1)) = rate - k_(i-1), factorised at the first stage; chains keep their sums."""
        active = [name for name in self._implicit.unknowns if stage < self._methods[name].stages]
        if not active:
            return []
        lines = [f"/* (I - gamma dt J) k = rate: {', '.join(active)} */"]
        if stage == 0:
            lines += self._matrix() + self._implicit.factor()
        lines += self._implicit.solve(_at("r", stage), active)
        if stage:
            lines += [f"{_at('r', stage)}_{n} = {_at('r', stage)}_{n} + {_at('r', stage - 1)}_{n};" for n in active]
        else:
            lines += [f"r_{last} = -({' + '.join(f'r_{name}' for name in others)});"
                      for *others, last in self._model.jacobian.chains]
        return lines

    def _matrix(self) -> list[str]:
        """The entries of I - gamma dt J."""
        number = {name: i for i, name in enumerate(self._implicit.unknowns)}
        lines = []
        for a, b in self._coupled():
            value = self._value(self._model.jacobian.entries[a, b], 0)
            value = f"up_finite({f'up_div({value}, up_Cm)' if a == 'V' else value})"
            product = f"{self._step(self._methods[a].gamma)} * {value}"
            lines.append(f"real m{number[a]}_{number[b]} = {f'1 - {product}' if a == b else f'-({product})'};")
        return lines

    def _intermediate_values(self, needed: Sequence[Definition], roots: Sequence[Expr], stage: int) -> list[str]:
        """V, states and t at a stage, where its equations use them: by the stage's row of the tableau where the
        state's own method has this stage, else from its first rate carried as far as the stage's time."""
        used = {n for e in (*roots, *(d.expr for d in needed)) for n in free_names(e)}
        c = self._stages.c[stage]
        lines = [f"const real v{stage}_t = v_t + {self._printer.number(c)} * v_dt;"] if "t" in used else []
        for name, method in self._methods.items():
            if name not in used:
                continue
            if method.exponential:
                value = self._exponential(name, c, 0)
            elif stage < method.stages:
                value = f"v_{name} + {self._increment(name, method.A[stage], 1.0)}"
            else:
                value = f"v_{name} + {self._increment(name, (1.0,), c)}"
            lines.append(f"const real v{stage}_{name} = {value};")
        return lines

    def _increment(self, name: str, weights: Sequence[float], c: float) -> str:
        """c dt sum_j weights[j] k_j"""
        number = self._printer.number
        terms = [(w, f"{_at('r', j)}_{name}") for j, w in enumerate(weights) if w]
        if len(terms) == 1:
            weight, rate = c * terms[0][0], terms[0][1]
            return f"v_dt * {rate}" if weight == 1.0 else f"{number(weight)} * v_dt * {rate}"
        total = " + ".join(rate if w == 1.0 else f"{number(w)} * {rate}" for w, rate in terms)
        return f"v_dt * ({total})" if c == 1.0 else f"{number(c)} * v_dt * ({total})"

    def _exponential(self, x: str, c: float, stage: int) -> str:
        """The state after c dt at the slope and steady state (or rate) of a stage."""
        if x in self._states and self._states[x].steady is not None:
            steady = f"{_at('inf', stage)}_{x}"
            return f"{steady} + (v_{x} - {steady}) * up_exp({self._step(c)} * {_at('slope', stage)}_{x})"
        return f"v_{x} + {self._exponential_change(x, c, stage)}"

    def _exponential_change(self, x: str, c: float, stage: int) -> str:
        """c dt phi(c dt s) (r + s (X - X_stage))"""
        step, rate, slope = self._step(c), f"{_at('r', stage)}_{x}", f"{_at('slope', stage)}_{x}"
        if stage and self._slope(x) != ZERO:
            rate = f"({rate} + {slope} * (v_{x} - {_at('v', stage)}_{x}))"
        return f"{step} * {rate} * up_phi({step} * {slope})"

    def _step(self, c: float) -> str:
        return "v_dt" if c == 1.0 else f"{self._printer.number(c)} * v_dt"

    def _commit(self) -> list[str]:
        """New values from old ones; then the checks, before bounds could hide a NaN."""
        lines = ["/* new values */"] if self._stages.stages > 1 else []
        for name, method in self._methods.items():
            change = (self._exponential_change(name, 1.0, method.stages - 1) if method.exponential
                      else self._increment(name, method.b, 1.0))
            if name in self._layout.wide:
                lines += [f"w_{name} += (double)({change});", f"v_{name} = (real)w_{name};"]
            elif method.exponential:
                lines.append(f"v_{name} = {self._exponential(name, 1.0, method.stages - 1)};")
            else:
                lines.append(f"v_{name} = v_{name} + {change};")
        lines += [f"v_{s.name} = u_{s.name};" for s in self._model.states if s.update is not None]
        check = f"up_bad |= up_nonfinite({' + '.join(f'v_{name}' for name in ('V', *self._layout.states))});"
        lines += [check]
        if happening := self._model.events:
            changing = [d for d in self._closure(events.roots(happening)) if d.name not in self._constant]
            lines += [*events.statements(happening, changing, self._printer, self._layout.wide), check]
        for state in self._model.states:
            lines += self._bound(state)
        return lines

    def _bound(self, state: State) -> list[str]:
        wide = state.name in self._layout.wide
        value = f"w_{state.name}" if wide else f"v_{state.name}"
        lines = []
        for bound, op in ((state.lower, "<"), (state.upper, ">")):
            if bound is not None:
                limit = repr(float(bound)) if wide else self._printer.number(bound)
                lines += [f"up_clamped |= {value} {op} {limit};",
                          f"{value} = {value} {op} {limit} ? {limit} : {value};"]
        return [*lines, f"v_{state.name} = (real){value};"] if wide and lines else lines

    # ------------------------------------------------------------------------------------ names and slices
    def _closure(self, roots: Iterable[Expr]) -> tuple[Definition, ...]:
        """The definitions that expressions rest on, in order."""
        needed: set[str] = set()
        pending = [n for e in roots for n in free_names(e)]
        while pending:
            name = pending.pop()
            if name in self._definitions and name not in needed:
                needed.add(name)
                pending += self._used[name]
        return tuple(d for d in self._sorted if d.name in needed)

    def _names(self, roots: Iterable[Expr]) -> set[str]:
        roots = list(roots)
        return {n for e in roots for n in free_names(e)}.union(*(self._used[d.name] for d in self._closure(roots)))

    def _value(self, expr: Expr, stage: int) -> str:
        def name(id: str) -> str:
            fixed = id in self._constant or (id in self._states and self._states[id].method == STORE)
            return f"v_{id}" if fixed else f"{_at('v', stage)}_{id}"
        return self._printer.value(expr, name)

    def _define(self, definitions: Iterable[Definition], stage: int) -> list[str]:
        return [f"const real {_at('v', stage)}_{d.name} = {self._value(d.expr, stage)};"
                for d in definitions if d.name not in self._constant]

    def _define_constants(self, roots: Iterable[Expr]) -> tuple[str, ...]:
        return tuple(f"const real v_{d.name} = {self._value(d.expr, 0)};"
                     for d in self._closure(roots) if d.name in self._constant)

    def _current(self, stage: int) -> str:
        kind = "up_I" if stage == 0 else f"const real up_I{stage}"
        return f"{kind} = {self._value(self._iion, stage)};   /* uA/cm^2 */"

    def _membrane(self, stage: int) -> str:
        return f"up_div(up_stimulus - {_at('up_I', stage)}, up_Cm)"

    def _parameters(self, roots: Iterable[Expr], nodal: bool) -> tuple[str, ...]:
        used = self._names(roots)
        lines = []
        for p in self._model.parameters:
            if p.name not in used or (p.name in self._layout.nodal) != nodal:
                continue
            if nodal:
                value = f"up_N[{self._layout.nodal.index(p.name)} * up_stride + up_i]"
            elif p.name in self._layout.uniform:
                value = f"up_P[{self._layout.uniform.index(p.name)}]"
            else:
                value = self._printer.number(p.value)
            lines.append(f"const real v_{p.name} = {value};{_unit(p.unit)}")
        return tuple(lines)

    def _load(self, states: Iterable[str]) -> tuple[str, ...]:
        lines = ["real v_V = up_V[up_i];   /* mV */", "const real up_stimulus = up_Istim[up_i];   /* uA/cm^2 */",
                 "real up_I = 0;"]
        for name in states:
            unit, place = _unit(self._states[name].unit), self._layout.place(name)
            if name in self._layout.wide:
                lines += [f"double w_{name} = {place};{unit}", f"real v_{name} = (real)w_{name};"]
            else:
                lines.append(f"real v_{name} = {place};{unit}")
        return tuple(lines)

    def _store(self, states: Iterable[str]) -> list[str]:
        return [f"{self._layout.place(n)} = {'w' if n in self._layout.wide else 'v'}_{n};" for n in states]


def _at(prefix: str, stage: int) -> str:
    return f"{prefix}{stage}" if stage else prefix


def _unit(unit: str) -> str:
    return f"   /* {unit} */" if unit else ""

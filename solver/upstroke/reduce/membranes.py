"""The membranes of reduced compartments as tables of a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from upstroke.errors import CaseError
from upstroke.ionic import load_model
from upstroke.reduce.channels import Leak
from upstroke.reduce.neuron import Membrane, Neuron
from upstroke.reduce.passive import Floats

PASSIVE, PASSIVE_LEAK = "Passive", Leak("Rm", True, "V_rest")


@dataclass(frozen=True)
class Kind:
    """What a compartment's membrane is made of: those of one kind share a table.

    Attributes
    ----------
    base : the membrane of the whole cell whose model it has; None for a passive one
    channels : keys, and the membranes and names that they have there
    """

    base: Membrane | None
    channels: tuple[tuple[str, Membrane, str], ...]

    @property
    def sources(self) -> list[Membrane]:
        """The membranes it takes anything from, the base first."""
        return list(dict.fromkeys([*([self.base] if self.base else []), *(m for _, m, _ in self.channels)]))

    @property
    def leak(self) -> Leak:
        """The leak that is set."""
        return PASSIVE_LEAK if self.base is None else self.base.dynamics.leaks[0]


@dataclass
class Dressed:
    """Values of each compartment by name, and the tables and regions that use them."""

    values: list[dict[str, float]]
    tables: list[dict[str, Any]] = field(default_factory=list)
    regions: dict[str, str] = field(default_factory=dict)


def dress(neuron: Neuron, nodes: Sequence[int], names: Sequence[str], area: Floats, leak: Floats, reversal: Floats,
          channels: Mapping[str, Floats], dense: Mapping[str, Floats]) -> Dressed:
    """Tables for compartments that stand for nodes of the whole cell.

    Parameters
    ----------
    names : of the compartments' sections
    area, leak, reversal : (m,) cm^2, mS, mV
    channels : (m,) mS by key
    dense : (m,) mS/cm^2 by key, of the membrane that each stands for: pools of ions are fed as there

    Raises
    ------
    CaseError where one compartment needs two models, or a model without a leak that can be set
    """
    kinds = [_kind(neuron, node, [key for key, G in channels.items() if G[k] > 0.0]) for k, node in enumerate(nodes)]
    made = Dressed([{} for _ in nodes])
    distinct = list(dict.fromkeys(kinds))
    for number, kind in enumerate(distinct, 1):
        here = [k for k, other in enumerate(kinds) if other == kind]
        table = _table(kind)
        if len(distinct) > 1:
            table["regions"] = [name := f"membrane{number}"]
            made.regions[name] = "section in [" + ", ".join(f'"{names[k]}"' for k in here) + "]"
        if kind.channels:
            table.setdefault("initial", {"V": round(float(neuron.rest[nodes[here[0]]]), 6)})
        for k in here:
            for m in reversed(kind.sources):
                every = {p.name: p.value for p in m.dynamics.model.parameters} | m.at(nodes[k])
                made.values[k] |= {name: value for name, value in every.items() if name in table["nodal"]}
            made.values[k] |= {kind.leak.name: kind.leak.of(float(leak[k] / area[k])),
                               kind.leak.reversal: float(reversal[k]) - kind.leak.shift}
            made.values[k] |= {c: float(channels[key][k] / area[k]) for key, _, c in kind.channels}
            made.values[k] |= _feeds(neuron, kind, nodes[k], {key: channels[key][k] / area[k]
                                                              for key, *_ in kind.channels}, dense, k)
        made.tables.append(table)
    return made


def _feeds(neuron: Neuron, kind: Kind, node: int, density: Mapping[str, float], dense: Mapping[str, Floats],
           k: int) -> dict[str, float]:
    """What scales the feeding of pools, by as much more as channels are thinner in the compartment than in the membrane
    that it stands for."""
    found: dict[str, float] = {}
    for m in kind.sources:
        for name, channels in m.dynamics.feeds.values():
            keys = [m.key(c) for c in channels if m.key(c) in density]
            here, there = (sum(float(x) for x in values) for values in (
                (density[key] for key in keys), (dense[key][k] for key in keys)))
            if here > 0.0 and there > 0.0:
                own = next(p.value for p in m.dynamics.model.parameters if p.name == name)
                found.setdefault(name, m.at(node).get(name, own) * there / here)
    return found


def _kind(neuron: Neuron, node: int, keys: Sequence[str]) -> Kind:
    """All channels of the node's own membrane, and of others those that it has."""
    own = neuron.membrane_at(node)
    having = {own.key(c): c for c in own.dynamics.channels}
    channels = [(key, own, c) for key, c in having.items()] if having.keys() & set(keys) else []
    channels += [(key, *neuron.owner_of(key, node)) for key in keys if key not in having]
    active = [m for _, m, _ in channels if m.base is not None]
    bases = list(dict.fromkeys(m.base for m in active))
    if len(bases) > 1:
        a, b = (base[0] for base in bases[:2] if base is not None)
        raise CaseError("membrane", f"a compartment would need channels of {a} and of {b}, and has one model",
                        "write them as plug-ins of one model")
    base = active[0] if active else None
    if base is not None and not (base.dynamics.leaks and base.dynamics.leaks[0].reversal):
        raise CaseError("membrane", f"{base.dynamics.model.name} has no leak whose conductance and reversal potential "
                        "are parameters, which a reduced compartment needs", "give its model such a leak")
    return Kind(base, tuple(channels))


def _table(kind: Kind) -> dict[str, Any]:
    """A [[membrane]]: the model of the base, the plug-ins of the channels and those without channels (pools of ions),
    with the parameters they have on the whole cell; what differs between compartments is nodal."""
    base, channels = kind.base, {c for *_, c in kind.channels}
    nodal = {kind.leak.name, kind.leak.reversal, *channels}
    table: dict[str, Any] = {"model": PASSIVE}
    parameters: dict[str, Any] = {}
    if base is not None:
        source = base.table
        table = {"model": source.model}
        table |= {"flags": list(source.flags)} if source.flags else {}
        table |= {"method": source.method} if source.method else {}
        table |= {"initial": dict(source.initial)} if isinstance(source.initial, dict) and source.initial else {}
        parameters = {name: value for name, value in base.parameters.items() if name in base.own}
        parameters |= {leak.name: leak.none for leak in base.dynamics.leaks[1:]}
        nodal |= base.values.keys() & base.own
    plugins: dict[str, dict[str, Any]] = {}
    for m in kind.sources:
        used = {c.partition(".")[0] for _, other, c in kind.channels if other is m}
        used |= {name for name in m.plugins if not any(c.startswith(f"{name}.") for c in m.dynamics.channels)}
        nodal |= {name for name, _ in m.dynamics.feeds.values() if name.partition(".")[0] in used or name in m.own}
        for name, (file, values) in m.plugins.items():
            if name in used and file not in plugins:
                plugins[file] = {k: v for k, v in values.items() if f"{name}.{k}" not in nodal}
        of_plugins = {name for name in m.parameters.keys() | m.values.keys()
                      if name not in m.own and ("." not in name or name.partition(".")[0] in used)}
        parameters = {name: m.parameters[name] for name in of_plugins & m.parameters.keys()} | parameters
        nodal |= of_plugins & m.values.keys()
    table |= {"plugins": plugins} if plugins else {}
    known = {p.name for p in load_model(table["model"], table.get("flags", ()), plugins=plugins).parameters}
    nodal &= known
    if left := {name: value for name, value in parameters.items() if name in known - nodal}:
        table["parameters"] = left
    return table | {"nodal": {name: name for name in sorted(nodal)}}

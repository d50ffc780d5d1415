"""A model as openCARP sees it: the model and its plug-ins as parts with names of their own, and shared quantities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from upstroke.ionic.globals import GLOBALS
from upstroke.ionic.model import Model
from upstroke.ionic.plugins import own_quantity
from upstroke.ionic.spelling import like
from upstroke.ionic.symbolic import free_names
from upstroke.ionic.unitcheck import dimension, factor

#: openCARP's names of shared quantities, where they differ from ours.
NAMES = {"K_e": "Ke", "Na_e": "Nae", "Ca_e": "Cae", "Cl_e": "Cle", "K_i": "Ki", "Na_i": "Nai", "Ca_i": "Cai"}
#: The unit of cytosolic calcium in openCARP's files and tables; here it is in mM or what the model says.
CALCIUM = "uM"
#: Shared quantities that openCARP keeps outside of models.
GLOBAL = ("Lambda", "delLambda", "Tension", "K_e", "Na_e", "Ca_e", "illum")


@dataclass(frozen=True)
class Part:
    """The model itself (``prefix`` "") or a plug-in, with its quantities by the names that they have in its own file.

    States that a part shares under a global name belong to no part.
    """

    name: str
    prefix: str
    states: tuple[str, ...]
    parameters: tuple[str, ...]
    definitions: tuple[str, ...]

    def full(self, name: str) -> str:
        """The name in the model that holds all parts."""
        return self.prefix + name


def parts(model: Model) -> tuple[Part, ...]:
    """The model, then its plug-ins in order."""
    base, *plugins = model.name.split(" + ")
    prefixes = [f"{name}." for name in plugins]
    states = [s.name for s in model.states if s.name not in model.externals or model.externals[s.name] not in GLOBAL]

    def of(prefix: str, names: Iterable[str]) -> tuple[str, ...]:
        if prefix:
            return tuple(n.removeprefix(prefix) for n in names if n.startswith(prefix))
        return tuple(n for n in names if not n.startswith(tuple(prefixes)))

    return tuple(Part(name, prefix, of(prefix, states), of(prefix, (p.name for p in model.parameters)),
                      of(prefix, (d.name for d in model.definitions)))
                 for name, prefix in zip([base, *plugins], ["", *prefixes], strict=True))


def shared(model: Model) -> dict[str, str]:
    """Which quantity of the model each shared quantity in use is, by global name, in the order of the global table.

    In use are those that the model's file marks ``.external()``, those that a plug-in gives, and those of the model
    that a plug-in reads: with a tension model, say, the model's calcium. V and Iion are left out.
    """
    prefixes = tuple(part.prefix for part in parts(model)[1:])
    exprs = [d.expr for d in model.definitions if d.name.startswith(prefixes)] if prefixes else []
    exprs += [e for s in model.states if prefixes and s.name.startswith(prefixes) for e in (s.rate, s.update) if e]
    read = {name for expr in exprs for name in free_names(expr)}
    found = {}
    for target in GLOBALS:
        own = own_quantity(model, target)
        if own is not None and target not in ("Vm", "Iion") and (own in model.externals or own in read):
            found[target] = own
    return found


def calcium(model: Model) -> str | None:
    """The model's cytosolic calcium."""
    return own_quantity(model, "Ca_i")


def scale(model: Model, name: str) -> float:
    """What turns the unit here into openCARP's: 1000 for cytosolic calcium in mM, 1 for everything else."""
    if name != calcium(model):
        return 1.0
    unit = model.units.get(name) or GLOBALS["Ca_i"].unit
    return float(f"{factor(unit) / factor(CALCIUM):.15g}") if dimension(unit) == dimension(CALCIUM) else 1.0


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is meant: spelled so, else the only one that differs in case and underscores."""
    known = tuple(known)
    if name in known:
        return name
    found = like(name, known)
    return found[0] if len(found) == 1 else None


def plugins_said(count: int) -> str:
    """``1 plug-in``, ``2 plug-ins``."""
    return f"{count} plug-in{'s' * (count != 1)}"

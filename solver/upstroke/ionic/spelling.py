"""Names as users have them in scripts: GKr or Gkr, Ki or K_i.

A name means what is spelled exactly so; else the one thing that differs from it only in upper and lower case and
underscores. Where several do, none is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from upstroke.errors import ModelError, did_you_mean
from upstroke.ionic.model import Model

EVERY = "*."            # in front of a parameter's name: of the model and of all its plug-ins

Content = TypeVar("Content")


def like(name: str, known: Iterable[str]) -> list[str]:
    """The known names that differ from this one in case and underscores only."""
    plain = name.replace("_", "").lower()
    return [other for other in known if other.replace("_", "").lower() == plain]


def respelled(
    given: Mapping[str, Content], known: Collection[str], wrong: Callable[[str, str], object], kind: str,
) -> dict[str, Content]:
    """What was given, by the names that are known; ``wrong(what, remedy)`` is called for each that is no ``kind``."""
    names: dict[str, Content] = {}
    spelled: dict[str, str] = {}
    for name, content in given.items():
        found = [name] if name in known else like(name, known)
        if len(found) > 1:
            wrong(f"'{name}' may be {' or '.join(found)}", "give it as it is spelled there")
        elif not found:
            wrong(f"no {kind} '{name}'", did_you_mean(name, known))
        elif found[0] in names:
            wrong(f"{found[0]} is given twice, as {spelled[found[0]]} and as {name}", "keep one")
        else:
            names[found[0]] = content
            spelled[found[0]] = name
    return names


def parameters_of(model: Model, given: Mapping[str, Content]) -> dict[str, Content]:
    """What was given for parameters of a model, by the model's own names; ModelError for a name that is none.

    ``*.E_K`` is E_K of the model and of each of its plug-ins that has it, but for those that are given by themselves.
    """
    known = [p.name for p in model.parameters]
    own = _of(model, {name: content for name, content in given.items() if not name.startswith(EVERY)}, known,
              "parameter")
    every: dict[str, Content] = {}
    for name, content in given.items():
        if name.startswith(EVERY):
            every |= dict.fromkeys(_called(model, name.removeprefix(EVERY), known), content)
    return every | own


def _called(model: Model, name: str, known: Collection[str]) -> list[str]:
    """The parameters of a name, PLUGIN.name among them; those alike where none is spelled exactly so."""
    last = {parameter: parameter.rpartition(".")[2] for parameter in known}
    names = dict.fromkeys(last.values())
    wanted = [name] if name in names else like(name, names)
    if not wanted:
        raise ModelError(f"model {model.name}", f"no parameter '{name}', neither of the model nor of a plug-in",
                         did_you_mean(name, names))
    return [parameter for parameter in known if last[parameter] in wanted]


def states_of(model: Model, given: Mapping[str, Content]) -> dict[str, Content]:
    """The same for V and the states."""
    return _of(model, given, ["V", *(s.name for s in model.states)], "state")


def _of(model: Model, given: Mapping[str, Content], known: Collection[str], kind: str) -> dict[str, Content]:
    def wrong(what: str, remedy: str) -> None:
        raise ModelError(f"model {model.name}", what, remedy)

    return respelled(given, known, wrong, kind)

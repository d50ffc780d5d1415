"""Which model the options ask for, in openCARP's grammar, and the lines that say what became of it.

    --imp-par "GNa-62%,GCaL*0.31,flags=EPI"       --plug-in "A:B" --plug-par "f-10%:Tref-10%,n+25%"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from upstroke.bench.options import Options
from upstroke.bench.parts import plugins_said
from upstroke.errors import OptionError
from upstroke.ionic import find_plugin, load_model
from upstroke.ionic.model import Model
from upstroke.ionic.spelling import like

_MODIFIER = re.compile(r"\s*(?P<name>[A-Za-z_][\w.]*)\s*(?P<op>[-+*/=])\s*(?P<rest>\S.*?)\s*")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?%?")
_FORMS = "write NAME-62%, NAME*0.38, NAME/2, NAME+1, NAME=5.6, flags=EPI, with commas between"


@dataclass(frozen=True)
class Choice:
    """What ``load_model`` takes. ``plugins`` are values by plug-in; ``words`` are the names as the user wrote them, the
    model's first, then each plug-in's."""

    imp: str | Path
    flags: tuple[str, ...] = ()
    parameters: Mapping[str, float | str] = field(default_factory=dict)
    methods: str | Mapping[str, str] = ""
    plugins: Mapping[str, Mapping[str, float | str]] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    def load(self) -> Model:
        """The model with its plug-ins; ModelError where one of them does not know what it is asked for."""
        return load_model(self.imp, self.flags, self.parameters, self.methods, self.plugins)


def modifiers(text: str, option: str) -> dict[str, float | str]:
    """``GNa-62%,GK1=5.6,flags=EPI`` as ``{"GNa": "-62%", "GK1": "=5.6", "flags": "EPI"}``, given for ``option``."""
    found: dict[str, float | str] = {}
    for part in text.split(",") if text.strip() else ():
        match = _MODIFIER.fullmatch(part)
        if match is None:
            raise OptionError(option, f"cannot read the modifier '{part.strip()}'", _FORMS)
        name, op, rest = match["name"], match["op"], match["rest"]
        number = _NUMBER.fullmatch(rest)
        if not number and op != "=":
            raise OptionError(option, f"'{rest}' in the modifier '{part.strip()}' is no number", _FORMS)
        if name in found:
            raise OptionError(option, f"{name} is modified twice", "keep one")
        found[name] = op + rest if number else rest
    return found


def chosen(options: Options) -> Choice:
    """The model, its variants, parameters and methods, and the plug-ins with theirs."""
    loaded = _loaded(options)
    words = options["plug-in"]
    names = [str(loaded.pop(word, word)) for word in words]
    imp, word = _imp(options, loaded)
    parts = options["plug-par"].split(":") if options.given("plug-par") else []
    if len(parts) > len(names):
        raise OptionError("--plug-par", f"there are {len(parts)} lists of parameters for {plugins_said(len(names))}",
                          "put a : between plug-ins, a comma between parameters")
    changes = [modifiers(part, "--plug-par") for part in parts]
    plugins: dict[str, Mapping[str, float | str]] = {}
    for k, name in enumerate(names):
        if name in plugins:
            raise OptionError("--plug-in", f"{words[k]} is named twice", "name each once")
        plugins[name] = changes[k] if k < len(changes) else {}
    return Choice(imp, options["flag"], modifiers(options["imp-par"], "--imp-par"), _methods(options), plugins,
                  (word, *words))


def _loaded(options: Options) -> dict[str, Path]:
    """The .model files that are given, by name."""
    found: dict[str, Path] = {}
    for option in ("load-module", "model"):
        for path in options[option]:
            if path.suffix != ".model":
                raise OptionError(f"--{option}", f"{path} is no .model file",
                                  "give the text of the model; libraries that openCARP has compiled cannot be loaded")
            if path.stem in found:
                raise OptionError(f"--{option}", f"two files have the name {path.stem}", "give one of them")
            found[path.stem] = path
    return found


def _imp(options: Options, loaded: dict[str, Path]) -> tuple[str | Path, str]:
    """The model to load, and what it is called."""
    if options.given("imp"):
        word = options["imp"]
        if unused := [name for name in loaded if name != word]:
            raise OptionError("--load-module", f"{unused[0]} is neither the model of --imp nor a plug-in of --plug-in",
                              "leave it out, or name it there")
        return loaded.get(word, word), word
    if len(loaded) > 1:
        raise OptionError("--load-module", f"which is the model: {' or '.join(loaded)}?", "say it with --imp")
    for word, path in loaded.items():
        return path, word
    return options["imp"], options["imp"]


def _methods(options: Options) -> str | dict[str, str]:
    if options.given("ext-vm-update"):
        return {"V": "fe"}
    if "=" not in options["method"]:
        return str(options["method"])
    methods: dict[str, str] = {}
    for part in options["method"].split(","):
        state, equals, method = (word.strip() for word in part.partition("="))
        if not (state and equals and method):
            raise OptionError("--method", f"cannot read '{part.strip()}'", "write METHOD, or STATE=METHOD,...")
        if state in methods:
            raise OptionError("--method", f"{state} is given twice", "keep one")
        methods["V" if state == "Vm" else state] = method
    return methods


# ---------------------------------------------------------------------------------------------------------------- echo
def echo(choice: Choice, model: Model) -> str:
    """The lines that openCARP prints of the model and its plug-ins: each changed parameter, how, and what it is now."""
    lines = [f"Ionic model: {choice.words[0]}"]
    lines += [_changed(model, "", name, str(change)) for name, change in choice.parameters.items()]
    lines += [_changed(model, "", "flags", option) for option in choice.flags]
    for word, (name, changes) in zip(choice.words[1:], choice.plugins.items(), strict=True):
        lines.append(f"Plug-in: {word}")
        lines += [_changed(model, f"{find_plugin(name).stem}.", each, str(change)) for each, change in changes.items()]
    return "\n".join(lines)


def _changed(model: Model, prefix: str, name: str, change: str) -> str:
    modifier = change if _NUMBER.fullmatch(change.lstrip("-+*/=")) else f"={change}"
    return f"\t{name:<20} modifier: {modifier:<15} value: {_value(model, prefix, name, change)}"


def _value(model: Model, prefix: str, name: str, change: str) -> str:
    """A parameter's value now; of a flag, or of a quantity that is linked to another by name, that name."""
    own = {p.name.removeprefix(prefix): p.value for p in model.parameters if p.name.startswith(prefix)}
    known = [name] if name in own else like(name, own)
    if not known:                                    # a shared quantity that stands for all plug-ins
        own = {p.name: p.value for p in model.parameters}
        known = like(name, own)
    return f"{own[known[0]]:g}" if known else change

"""Models and plug-ins by name: the ones that come with the package, and any file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from upstroke.errors import ModelError, nearest
from upstroke.ionic.header import aliases, bibtex, read_header

if TYPE_CHECKING:
    from upstroke.ionic.model import Model
    from upstroke.ionic.plugins import Plugin

FOLDER = Path(__file__).with_name("models")
PLUGINS = Path(__file__).with_name("plugins")

WHICH = "plugin"        # among the values of one with a name of its own: which it is

Changes = Mapping[str, float | str]
#: Plug-ins by name, or with the values of their parameters.
Plugins = Sequence[str | Path] | Mapping[str, Changes]


@dataclass(frozen=True)
class ModelInfo:
    """A shipped model or plug-in as its header tells it; plug-ins have a ``kind``, and ``brief`` says what they add."""

    name: str
    aliases: tuple[str, ...]
    title: str
    doi: str
    path: Path
    kind: str = ""
    brief: str = ""


def shipped_models() -> tuple[ModelInfo, ...]:
    """All models of the package, by name; reads headers only, and imports no parser."""
    return _shipped(FOLDER)


def shipped_plugins() -> tuple[ModelInfo, ...]:
    """All plug-ins of the package, in the same way."""
    return _shipped(PLUGINS)


def _shipped(folder: Path) -> tuple[ModelInfo, ...]:
    infos = []
    for path in sorted(folder.glob("*.model"), key=lambda p: p.name.lower()):
        header = read_header(path.read_text(encoding="utf-8"))
        infos.append(ModelInfo(path.stem, aliases(header), header.get("Title", ""), header.get("DOI", ""), path,
                               header.get("Kind", ""), header.get("Brief", "")))
    return tuple(infos)


def find_model(name_or_path: str | Path) -> Path:
    """The file of a shipped model (name or alias, upper or lower case) or of a path to a .model file."""
    return _find(name_or_path, "model", shipped_models)


def find_plugin(name_or_path: str | Path) -> Path:
    """The file of a shipped plug-in (name or alias, upper or lower case) or of a path to a .model file."""
    return _find(name_or_path, "plug-in", shipped_plugins)


def _find(name_or_path: str | Path, kind: str, shipped: Callable[[], tuple[ModelInfo, ...]]) -> Path:
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".model") or "/" in text or "\\" in text:
        return Path(name_or_path)
    paths = _by_word(shipped())
    if text.lower() in paths:
        return paths[text.lower()]
    if kind == "model" and text.lower() in _by_word(shipped_plugins()):
        raise ModelError("", f"no model '{text}'", "it is a plug-in, which is added to a model: membrane.plugins of a "
                         "case, --plug-in of bench, --plugins of models")
    near = nearest(text, (word for info in shipped() for word in (info.name, *info.aliases)))
    listed = f"`upstroke models{' --plugins' * (kind == 'plug-in')}` lists them"
    raise ModelError("", f"no {kind} '{text}'", f"{f'did you mean {near!r}?' if near else listed} (a {kind} of your "
                     "own: give its path, PATH/NAME.model)")


def _by_word(infos: Sequence[ModelInfo]) -> dict[str, Path]:
    """Files by names and aliases in lower case."""
    return {word.lower(): info.path for info in infos for word in (info.name, *info.aliases)}


def citation(path: Path, kind: str = "model") -> str:
    """The paper of a model file as BibTeX. Raises ModelError where the file cannot be read or names no paper."""
    if cited := bibtex(read_header(_text(path, kind))):
        return cited
    raise ModelError(str(path), "the file names no paper", "write // Title: and // Authors: on top of it")


def load_model(
    name_or_path: str | Path, flags: Sequence[str] = (), parameters: Changes | None = None,
    methods: str | Mapping[str, str] = "", plugins: Plugins = (),
) -> Model:
    """Read, check and sort an ionic model, and add plug-ins to it.

    Arguments
        name_or_path: a shipped model, an alias of one, or the path of a .model file.
        flags: options, each as ``EPI`` or ``cell_type=EPI``.
        parameters: new values: numbers, or changes as text: ``=5.6``, ``+0.1``, ``-62%``, ``*0.38``, ``/2``.
            ``*.E_K`` is E_K of the model and of all plug-ins that have it, but of those where it is given by itself.
        methods: ``{"m": "rk4", "V": "rk2"}``, or one method for V and all states; a state that the one method does not
            suit (rush_larsen with a rate that is not linear in the state) is left with fe.
        plugins: names or paths; or each with the values of its parameters, ``{"IKATP_Ferrero": {"ATP_i": 4}}``, flags
            too. A quantity that it shares with the model may be given there as a number or as the name of a
            quantity of the model, ``{"Ca_i": "Cai4"}``. ``{"Na": {"plugin": "DendriticSpike"}}`` gives one a
            name of its own, which stands in front of what belongs to it; so one plug-in can be there twice.

    What belongs to a plug-in is called ``PLUGIN.name`` in ``parameters``, ``methods`` and in the model that comes back.
    Raises ModelError, or ErrorList where a file has several independent mistakes.
    """
    path = find_model(name_or_path)
    return read_model(_text(path, "model"), path.stem, str(path), flags, parameters, methods, plugins)


def _text(path: Path, kind: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text file in UTF-8"
        raise ModelError(str(path), f"cannot read the {kind}: {reason}", "give the path of a .model file") from None


def read_model(
    text: str, name: str = "model", file: str = "", flags: Sequence[str] = (), parameters: Changes | None = None,
    methods: str | Mapping[str, str] = "", plugins: Plugins = (),
) -> Model:
    """The same for model text that is at hand."""
    # The grammar and NumPy are loaded only when a model is.
    from upstroke.ionic.build import build
    from upstroke.ionic.collect import markups_of
    from upstroke.ionic.parse import parse
    from upstroke.ionic.plugins import compose

    file = file or f"{name}.model"
    parameters = _by_name(parameters or {}, plugins, partial(read_model, text, name, file, flags, methods=methods,
                                                             plugins=plugins))
    values, ways = dict(parameters or {}), methods if isinstance(methods, str) else dict(methods)
    parts = [_load_plugin(path, name, its, values, ways) for name, (path, its) in _wanted(plugins).items()]
    try:
        program = parse(text, file)
        shared = {target: values.pop(target) for part in parts for target in part.read.values()
                  if target in values and target not in markups_of(program)}
        return compose(build(program, name, read_header(text), flags, values, ways), parts, shared)
    except RecursionError:
        raise ModelError(file, "blocks are nested too deeply", "write fewer levels") from None


def _by_name(parameters: Changes, plugins: Plugins, read: Callable[..., Model]) -> Changes:
    """Parameters without ``*.name``: with what this stands for in the model that ``read`` gives for the others."""
    from upstroke.ionic.spelling import EVERY, like, parameters_of

    every = {name: value for name, value in parameters.items() if name.startswith(EVERY)}
    if not every:
        return parameters
    others = {name: value for name, value in parameters.items() if name not in every}
    model = read(parameters=others)
    given = [*others, *(f"{word}.{name}" for word, (_, its) in _wanted(plugins).items() for name in its)]
    stand_for = parameters_of(model, every)
    return others | {name: value for name, value in stand_for.items() if not like(name, given)}


def load_plugin(name_or_path: str | Path, parameters: Changes | None = None) -> Model:
    """A plug-in by itself, not joined to a model yet. ``iion`` is what it adds, None where it adds nothing."""
    path = find_plugin(name_or_path)
    return _load_plugin(path, path.stem, dict(parameters or {}), {}, "").model


def _wanted(plugins: Plugins) -> dict[str, tuple[Path, dict[str, float | str]]]:
    """The files of plug-ins, and the values that were given for each, by the names that they have in the model."""
    wanted: dict[str, tuple[Path, dict[str, float | str]]] = {}
    names: dict[str, str | Path] = {}
    given = plugins if isinstance(plugins, Mapping) else {str(word): {} for word in plugins}
    if len(given) < len(plugins):
        twice = next(p for k, p in enumerate(plugins) if p in list(plugins)[:k])
        raise ModelError(f"plug-in {twice}", "it is named twice",
                         'name each once; a second one needs a name of its own, { NAME = { plugin = "..." } }')
    for word, values in given.items():
        own = dict(values)
        file = own.pop(WHICH, None)
        if file is not None and not str(word).isidentifier():
            raise ModelError(f"plug-in {word}", "a name is made of letters, digits and _", "give it another name")
        path = find_plugin(word if file is None else str(file))
        name = path.stem if file is None else str(word)
        if name in names:
            raise ModelError(f"plug-in {word}", f"it has the name {name}, as {names[name]} has",
                             f'give it a name of its own, {{ NAME = {{ plugin = "{path.stem}", ... }} }}')
        names[name] = word
        wanted[name] = path, own
    return wanted


def _load_plugin(path: Path, name: str, own: dict[str, float | str], values: dict[str, float | str],
                 ways: str | dict[str, str]) -> Plugin:
    """A plug-in with its values, and those called NAME.parameter in ``values`` and ``ways``, taken out of there."""
    from upstroke.ionic.build import build
    from upstroke.ionic.classify import flag_options
    from upstroke.ionic.parse import parse
    from upstroke.ionic.plugins import Plugin, is_link

    text = _text(path, "plug-in")
    for key in [key for key in values if key.startswith(f"{name}.")]:
        short = key.removeprefix(f"{name}.")
        if short in own:
            raise ModelError(f"plug-in {name}", f"parameter {short} is given twice, also as {key}", "give one")
        own[short] = values.pop(key)
    methods: str | dict[str, str] = ways
    if not isinstance(ways, str):
        methods = {key.removeprefix(f"{name}."): ways.pop(key) for key in [*ways] if key.startswith(f"{name}.")}
    program = parse(text, str(path))
    flags = {"flags", *flag_options(program)}
    links = {key: str(value) for key, value in own.items() if is_link(value) and key not in flags}
    numbers = {key: value for key, value in own.items() if key not in links}
    model = build(program, name, read_header(text), (), numbers, methods, plugin=True)
    return Plugin(model, frozenset(key for key in numbers if key in model.externals), links)

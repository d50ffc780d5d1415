"""Models by name: the ones that come with the package, and any file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from upstroke.errors import ModelError, did_you_mean
from upstroke.ionic.header import aliases, read_header

if TYPE_CHECKING:
    from upstroke.ionic.model import Model

FOLDER = Path(__file__).with_name("models")


@dataclass(frozen=True)
class ModelInfo:
    """A shipped model as its header tells it."""

    name: str
    aliases: tuple[str, ...]
    title: str
    doi: str
    path: Path


def shipped_models() -> tuple[ModelInfo, ...]:
    """All models of the package, by name; reads headers only, and imports no parser."""
    infos = []
    for path in sorted(FOLDER.glob("*.model"), key=lambda p: p.name.lower()):
        header = read_header(path.read_text(encoding="utf-8"))
        infos.append(ModelInfo(path.stem, aliases(header), header.get("Title", ""), header.get("DOI", ""), path))
    return tuple(infos)


def find_model(name_or_path: str | Path) -> Path:
    """The file of a shipped model (name or alias, upper or lower case) or of a path to a .model file."""
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".model") or "/" in text or "\\" in text:
        return Path(name_or_path)
    infos = shipped_models()
    for info in infos:
        if text.lower() in (word.lower() for word in (info.name, *info.aliases)):
            return info.path
    known = [word for info in infos for word in (info.name, *info.aliases)]
    remedy = f"{did_you_mean(text, known)} (a model of your own: give its path, PATH/NAME.model)"
    raise ModelError("", f"no model '{text}'", remedy)


def load_model(
    name_or_path: str | Path, flags: Sequence[str] = (), parameters: Mapping[str, float | str] | None = None,
    methods: str | Mapping[str, str] = "",
) -> Model:
    """Read, check and sort an ionic model.

    Arguments
        name_or_path: a shipped model, an alias of one, or the path of a .model file.
        flags: options, each as ``EPI`` or ``cell_type=EPI``.
        parameters: new values: numbers, or changes as text: ``=5.6``, ``+0.1``, ``-62%``, ``*0.38``, ``/2``.
        methods: ``{"m": "rk4", "V": "rk2"}``, or one method for V and all states; a state that the one method does not
            suit (rush_larsen with a rate that is not linear in the state) is left with fe.

    Raises ModelError, or ErrorList where the file has several independent mistakes.
    """
    path = find_model(name_or_path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text file in UTF-8"
        raise ModelError(str(path), f"cannot read the model: {reason}", "give the path of a .model file") from None
    return read_model(text, path.stem, str(path), flags, parameters, methods)


def read_model(
    text: str, name: str = "model", file: str = "", flags: Sequence[str] = (),
    parameters: Mapping[str, float | str] | None = None, methods: str | Mapping[str, str] = "",
) -> Model:
    """The same for model text that is at hand."""
    # The grammar and NumPy are loaded only when a model is.
    from upstroke.ionic.build import build
    from upstroke.ionic.parse import parse

    file = file or f"{name}.model"
    try:
        return build(parse(text, file), name, read_header(text), flags, parameters, methods)
    except RecursionError:
        raise ModelError(file, "blocks are nested too deeply", "write fewer levels") from None

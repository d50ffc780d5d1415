"""From files and overrides to one tree of values, each of which knows where it was written."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upstroke.case.toml import KeyPath, key_lines, split_key, write_key
from upstroke.case.words import nearest
from upstroke.errors import CaseError, Place

CASE_FILE = "case.toml"
NAMED = (CASE_FILE, "study.toml", "expected.toml")      # what these are, their names tell


@dataclass
class Node:
    """A value, where it was written, and the folder its relative paths start from."""

    value: Any                    # dict[str, Node], list[Node], or a plain value
    place: Place
    folder: Path = field(default_factory=Path)

    def at(self, path: KeyPath) -> Node:
        """The node at ``path``, or the nearest one above it that exists."""
        node = self
        for name in path:
            if isinstance(node.value, dict) and name == 0 and "0" not in node.value:
                continue   # one table stands for an array of one
            try:
                node = node.value[name]
            except (KeyError, IndexError, TypeError):
                break
        return node

    def walk(self, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
        """Every node below this one, with its path."""
        yield path, self
        items = self.value.items() if isinstance(self.value, dict) else \
            enumerate(self.value) if isinstance(self.value, list) else ()
        for name, node in items:
            yield from node.walk((*path, name))


def read(source: str | Path | Mapping[str, Any], within: str = CASE_FILE) -> Node:
    """The tree of a case file, of a folder that holds ``within``, or of a dictionary of the same form."""
    if isinstance(source, Mapping):
        return _wrap(source, {}, "case", Path.cwd())
    path = _locate(Path(source), within)
    name = _shown(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaseError(name, f"is not UTF-8 text (byte {error.start})", "save the file as UTF-8") from None
    except OSError as error:
        raise CaseError(name, f"cannot be read: {error.strerror}") from None
    try:
        tables = tomllib.loads(text)
    except ValueError as error:   # a syntax error, or an integer of thousands of digits
        raise _syntax_error(name, text, str(error)) from None
    except RecursionError:
        raise CaseError(name, "is nested too deeply") from None
    return _wrap(tables, key_lines(text), name, path.absolute().parent)


def merge(base: Node, over: Node) -> Node:
    """``over`` laid on ``base``: tables merge key by key, all else (a table of another kind, too) is replaced."""
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    if {"kind"} <= base.value.keys() & over.value.keys() and base.value["kind"].value != over.value["kind"].value:
        return over
    merged = dict(base.value)
    for name, node in over.value.items():
        merged[name] = merge(merged[name], node) if name in merged else node
    return Node(merged, base.place, base.folder)


def override(root: Node, text: str) -> None:
    """Lays ``a.b.0.c=value`` on the tree; the value is TOML where it can be read as such, else text."""
    place = Place(f"--set {text}")
    dotted, equals, right = text.partition("=")
    names, end = split_key(dotted.strip())
    if not (equals and names and end == len(dotted.strip())):
        raise CaseError(place, "expected KEY=VALUE", 'for example --set time.dt="0.01 ms"')
    try:
        value = tomllib.loads(f"value = {right}")
    except ValueError:
        value = {}
    new = _wrap(value["value"] if value.keys() == {"value"} else right.strip(), {}, place.file, Path.cwd())
    node = root
    for depth, name in enumerate(names):
        key, path = write_key(names[: depth + 1]), write_key(names[:depth])
        index: Any = name
        if name == "0" and isinstance(node.value, dict) and name not in node.value and depth < len(names) - 1:
            continue   # a single table stands for an array of one
        if isinstance(node.value, list):
            size = len(node.value)
            if not (name.isdecimal() and int(name) < size):
                remedy = f"name one by its number, {path}.0" + (f" to {path}.{size - 1}" if size > 1 else "")
                raise CaseError(place, f"{key}: {path} is an array of {size}", remedy if size else "it is empty")
            index = int(name)
        elif not isinstance(node.value, dict):
            raise CaseError(place, f"{key}: {path} is a value, not a table", f"for example --set {path}=...")
        if depth == len(names) - 1:
            node.value[index] = new
        elif isinstance(node.value, dict):
            node = node.value.setdefault(name, Node({}, place, new.folder))
        else:
            node = node.value[index]


def _wrap(value: Any, lines: Mapping[KeyPath, int], file: str, folder: Path,
          path: KeyPath = ()) -> Node:
    inner: Any = value.tolist() if hasattr(value, "tolist") else value   # NumPy, in a dictionary
    if isinstance(value, Mapping):
        inner = {str(k): _wrap(v, lines, file, folder, (*path, k)) for k, v in value.items() if v is not None}
    elif isinstance(inner, (list, tuple)):
        inner = [_wrap(v, lines, file, folder, (*path, i)) for i, v in enumerate(inner)]
    return Node(inner, Place(file, lines.get(path, 0)), folder)


def _locate(path: Path, within: str) -> Path:
    """The file that ``path`` means: itself, or the one of this name in it."""
    if os.path.isdir(path):     # unlike Path.is_dir, false for every name the system refuses
        if os.path.isfile(path / within):
            return path / within
        others = sorted(p.name for p in path.glob("*.toml") if p.name not in NAMED)
        raise CaseError(_shown(path), f"this folder has no {within}",
                        f"name the file: {_shown(path / others[0])}" if others else "")
    if not os.path.exists(path):
        near = nearest(path.name, nearby(path, ".toml"))
        raise CaseError(_shown(path), "there is no such file or folder",
                        near or f"name a folder with a {within}, or a {Path(within).stem} file")
    return path


def nearby(path: Path, suffix: str) -> list[str]:
    """Names of the folders, and of the files with ``suffix``, beside ``path``."""
    try:
        return [p.name for p in path.parent.iterdir() if p.suffix == suffix or p.is_dir()]
    except (OSError, ValueError):
        return []


def _shown(path: Path) -> str:
    """The path as messages show it: relative where it lies below the current folder."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)


def _syntax_error(name: str, text: str, message: str) -> CaseError:
    """tomllib's message, pointing at the line of text."""
    lines = text.replace("\r\n", "\n").split("\n")
    found = re.fullmatch(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    if not found:
        return CaseError(name, message)
    what, line, column = found.groups()
    if line is None:   # the end of the document
        number = max(n for n, t in enumerate(lines, 1) if t.strip() or n == 1)
        place = Place(name, number, len(lines[number - 1]) + 1, lines[number - 1])
    else:
        number = min(int(line), len(lines))
        place = Place(name, number, int(column), lines[number - 1])
    unquoted = re.fullmatch(r"\s*([\w.-]+)\s*=\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?\s*[A-Za-zµμ/][^\s\"',#]*)\s*(?:#.*)?",
                            lines[number - 1])
    remedy = f'a quantity is text, in quotes: {unquoted[1]} = "{unquoted[2]}"' if unquoted else ""
    return CaseError(place, what, remedy)

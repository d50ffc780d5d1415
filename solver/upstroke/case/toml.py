"""What ``tomllib`` lacks: the line of every key, and writing values."""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

KeyPath = tuple[str | int, ...]   # of a key: ("stimulus", 0, "start")

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_STRING = re.compile(r'''"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*\'''', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_KEY = re.compile(r'''"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+''')
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line (from 1) on which each key, table and array element of a valid TOML document first appears."""
    return _Scanner(text.replace("\r\n", "\n")).scan()


class _Scanner:
    """Walks a document that ``tomllib`` has accepted, so it checks nothing and only keeps count."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [0, *(m.end() for m in re.finditer("\n", text))]
        self.lines: dict[KeyPath, int] = {}
        self.lengths: dict[KeyPath, int] = {}   # of the arrays of tables

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self.blank() < len(self.text):
            if self.take("[["):
                *parents, name = self.key()
                array = (*self.resolve(parents), name)
                self.note(array)
                index = self.lengths.get(array, 0)
                self.lengths[array] = index + 1
                table = (*array, index)
                self.note(table)
                self.take("]]")
            elif self.take("["):
                table = self.resolve(self.key())
                self.note(table)
                self.take("]")
            else:
                self.pair(table)
        return self.lines

    def resolve(self, names: Iterable[str]) -> KeyPath:
        """The path a header means: an array of tables in it stands for its last element."""
        path: KeyPath = ()
        for name in names:
            path += (name,)
            self.note(path)
            if path in self.lengths:
                path += (self.lengths[path] - 1,)
        return path

    def pair(self, table: KeyPath) -> None:
        path = table
        for name in self.key():
            path += (name,)
            self.note(path)
        self.blank()
        self.take("=")
        self.value(path)

    def value(self, path: KeyPath) -> None:
        self.blank()
        if self.take("["):
            index = 0
            while self.blank() < len(self.text) and not self.take("]"):
                self.note((*path, index))
                self.value((*path, index))
                index += 1
                self.blank()
                self.take(",")
        elif self.take("{"):
            while self.blank() < len(self.text) and not self.take("}"):
                self.pair(path)
                self.blank()
                self.take(",")
        else:
            match = _STRING.match(self.text, self.at) or _SCALAR.match(self.text, self.at)
            assert match is not None
            self.at = match.end()

    def key(self) -> list[str]:
        """The names of a dotted key."""
        self.blank()
        names, self.at = split_key(self.text, self.at)
        self.blank()
        return names

    def note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, bisect_right(self.starts, self.at))

    def blank(self) -> int:
        """Steps over white space, line ends and comments; returns where that leads."""
        match = _BLANK.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return self.at

    def take(self, token: str) -> bool:
        found = self.text.startswith(token, self.at)
        self.at += len(token) if found else 0
        return found


def split_key(text: str, at: int = 0) -> tuple[list[str], int]:
    """The names of the dotted key that starts at ``at``, and where it ends; an empty list where there is none."""
    names = []
    while match := _KEY.match(text, at):
        token, at = match.group(), match.end()
        names.append(token if _BARE.fullmatch(token) else tomllib.loads(f"key = {token}")["key"])
        dot = _DOT.match(text, at)
        if not dot:
            break
        at = dot.end()
    return names, at


def write_key(path: Iterable[str | int]) -> str:
    """A dotted key as TOML text: ``stimulus.0."my name"``."""
    names = (str(name) for name in path)
    return ".".join(name if _BARE.fullmatch(name) else write_value(name) for name in names)


def write_value(value: Any) -> str:
    """A value as TOML text on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        pairs = [f"{write_key([k])} = {write_value(v)}" for k, v in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, Iterable):
        return f"[{', '.join(map(write_value, value))}]"
    return str(value)   # dates and times


def write_document(tables: Mapping[str, Any], prefix: tuple[str, ...] = (), inline: Iterable[str] = ()) -> str:
    """Nested tables as a TOML document; tables of a name in ``inline`` are written on one line."""
    def is_table(name: str, value: Any) -> bool:
        return isinstance(value, Mapping) and name not in inline

    def is_array(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(v, Mapping) for v in value)

    lines = [f"{write_key([k])} = {write_value(v)}\n" for k, v in tables.items()
             if not is_table(k, v) and not is_array(v)]
    for name, value in tables.items():
        path = (*prefix, name)
        if is_table(name, value):
            lines.append(f"\n[{write_key(path)}]\n" + write_document(value, path, inline))
        elif is_array(value):
            lines += [f"\n[[{write_key(path)}]]\n" + write_document(v, path, inline) for v in value]
    return "".join(lines)

import random
import tomllib
from typing import Any

import pytest

from upstroke.case.toml import key_lines, split_key, write_document, write_value

TRICKY = '''\
# a = "not a key"
top = "a # b = c"   # [not.a.table]
'quoted key'."x\\u0041.y" = 1

[mesh]   # [[no]]
size = [
    "1 mm",   # ] not the end
    [2, 3,
     { deep = [4,
        5] }],
]
text = """
[fake]
fake = 1
\\"""still
"""
raw = \'\'\'
fake = 2 \'\'\' # '
many = """""quotes"""""
date = 1979-05-27 07:32:00
inline = { a.b = 1, "c d" = [ { e = 2 } ], f = { } }
after = -1.5e3

[a.b . "c"]
d = true
[[list]]
x = 1
[list.inner]
y = 1
[[list.rows]]
z = 1
[[list.rows]]
z = 2
[[list]]
x = 2
[[list.rows]]
z = 3
'''


def test_the_lines_of_a_tricky_document() -> None:
    lines = key_lines(TRICKY)
    expected: dict[tuple[str | int, ...], int] = {
        ("top",): 2, ("quoted key",): 3, ("quoted key", "xA.y"): 3,
        ("mesh",): 5, ("mesh", "size"): 6, ("mesh", "size", 0): 7, ("mesh", "size", 1): 8, ("mesh", "size", 1, 0): 8,
        ("mesh", "size", 1, 1): 8, ("mesh", "size", 1, 2): 9, ("mesh", "size", 1, 2, "deep"): 9,
        ("mesh", "size", 1, 2, "deep", 0): 9, ("mesh", "size", 1, 2, "deep", 1): 10,
        ("mesh", "text"): 12, ("mesh", "raw"): 17, ("mesh", "many"): 19, ("mesh", "date"): 20,
        ("mesh", "inline"): 21, ("mesh", "inline", "a"): 21, ("mesh", "inline", "a", "b"): 21,
        ("mesh", "inline", "c d"): 21, ("mesh", "inline", "c d", 0): 21, ("mesh", "inline", "c d", 0, "e"): 21,
        ("mesh", "inline", "f"): 21, ("mesh", "after"): 22,
        ("a",): 24, ("a", "b"): 24, ("a", "b", "c"): 24, ("a", "b", "c", "d"): 25,
        ("list",): 26, ("list", 0): 26, ("list", 0, "x"): 27, ("list", 0, "inner"): 28, ("list", 0, "inner", "y"): 29,
        ("list", 0, "rows"): 30, ("list", 0, "rows", 0): 30, ("list", 0, "rows", 0, "z"): 31,
        ("list", 0, "rows", 1): 32, ("list", 0, "rows", 1, "z"): 33,
        ("list", 1): 34, ("list", 1, "x"): 35, ("list", 1, "rows"): 36, ("list", 1, "rows", 0): 36,
        ("list", 1, "rows", 0, "z"): 37,
    }
    assert lines == expected
    assert lines.keys() == set(paths(tomllib.loads(TRICKY)))


def test_windows_line_ends() -> None:
    assert key_lines(TRICKY.replace("\n", "\r\n")) == key_lines(TRICKY)


def test_an_empty_document() -> None:
    assert key_lines("") == {}
    assert key_lines("# only this") == {}


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every path in a document, as tomllib sees it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for name, inner in items:
        found += paths(inner, (*path, name))
    return found


def random_value(source: random.Random, depth: int) -> Any:
    kind = source.randrange(8 if depth else 5)
    if kind >= 6:
        return {source.choice(["a", "b c", 'q"', "d.e", "é", ""]): random_value(source, depth - 1) for _ in range(3)}
    if kind == 5:
        return [random_value(source, depth - 1) for _ in range(source.randrange(4))]
    return [True, -3, 2.5e-7, 'a "b" \\ \n\t\x7f 😀 # = [', ""][kind]


@pytest.mark.parametrize("seed", range(30))
def test_written_documents_read_back(seed: int) -> None:
    source = random.Random(seed)
    document = {name: random_value(source, 4) for name in ("x", "y z", "w")}
    text = write_document(document, inline={"y z"})
    assert tomllib.loads(text) == document
    assert key_lines(text).keys() == set(paths(document))


def test_write_value() -> None:
    assert write_value({"a": [1, 2.0, True], "b c": "x\ny"}) == r'{ a = [1, 2.0, true], "b c" = "x\ny" }'
    assert write_value({}) == "{}"


def test_split_key() -> None:
    assert split_key('a."b.c" . 0') == (["a", "b.c", "0"], 11)
    assert split_key("=") == ([], 0)

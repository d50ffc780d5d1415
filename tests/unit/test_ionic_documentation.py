"""docs/model_language.md is true: its example loads, and it names every function, markup, method, unit and global."""

import re
from pathlib import Path

from upstroke.ionic import METHODS, read_model
from upstroke.ionic.expr import FUNCTIONS
from upstroke.ionic.globals import GLOBALS
from upstroke.ionic.markup import MARKUPS
from upstroke.ionic.methods import ADAPTIVE, AUTO, STORE
from upstroke.ionic.unitcheck import PREFIXES, UNITS

PAGE = (Path(__file__).parents[2] / "docs" / "model_language.md").read_text(encoding="utf-8")


def test_the_examples_are_models():
    examples = re.findall(r"```easyml\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for text in examples:
        model = read_model(text)
        assert {s.method for s in model.states} <= {"rush_larsen", STORE}


def test_nothing_is_left_out():
    words = set(re.findall(r"\w+", PAGE))
    for names in (FUNCTIONS, GLOBALS, MARKUPS, METHODS, ADAPTIVE, (AUTO,), UNITS, PREFIXES):
        assert {name for name in names if name} <= words


def test_the_order_and_name_of_each_method_are_right():
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d) \|", PAGE, re.MULTILINE))
    assert rows == {name: str(method.order) for name, method in METHODS.items()}

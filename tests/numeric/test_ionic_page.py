"""docs/models.md is what the model files and the measured figures give."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest
from samples import every_model

from upstroke.ionic import shipped_models
from upstroke.ionic.header import read_header
from upstroke.ionic.page import page


@pytest.fixture(autouse=True)
def models_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upstroke.ionic.page._models", lambda: tuple(every_model().values()))


ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "benchmarks" / "results" / "models.json"


def row(figures: dict, name: str = "BeelerReuter") -> str:
    """The model's row of the second table."""
    return [line for line in page(figures).splitlines() if line.startswith(f"| {name} |")][1]


def test_page_is_up_to_date() -> None:
    told = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert told == page(json.loads(FIGURES.read_text())), \
        "run python -m upstroke.ionic.page benchmarks/results/models.json > docs/models.md"


def test_figures_belong_to_models_that_are_there() -> None:
    assert set(json.loads(FIGURES.read_text())["models"]) <= {info.name for info in shipped_models()}


def test_every_header_tells_species_and_tissue() -> None:
    headers = {info.name: read_header(info.path.read_text()) for info in shipped_models()}
    assert {name for name, header in headers.items() if not {"Species", "Tissue"} <= header.keys()} == set()


def test_what_a_model_is() -> None:
    first = next(line for line in page({"models": {}}).splitlines() if line.startswith("| BeelerReuter |"))
    assert first == ("| BeelerReuter | [Beeler 1977](https://doi.org/10.1113/jphysiol.1977.sp011853) | mammal "
                     "| ventricle | 8 | rush_larsen, fe |")


def test_the_worst_variant_is_told() -> None:
    figures = {"agreement": {"a": {"rates": 1e-12, "apd90": 0.002}, "b": {"rates": 3e-11, "time": None}},
               "precision": {"fp32": None, "mixed": 1e-5}}
    assert row({"models": {"BeelerReuter": figures}}) == \
        "| BeelerReuter | 3e-11 |  | 0.2 % | none | none | 0.001 % |  |  |  |"


def test_what_was_measured_by_cvode_is_marked_and_what_failed_is_told() -> None:
    figures = {"agreement": {"a": {"apd90": 0.002, "by": "cvode"}}, "precision": {"failed": "status 1"},
               "beats": {"kind": "cycle", "V_min": -0.25, "time": 0.01}, "speed": {"rate": 12.345, "ratio": 0.9}}
    assert row({"models": {"BeelerReuter": figures}}) == \
        "| BeelerReuter |  |  | 0.2 %* |  | fails |  | -0.25 mV, cycle +1 % | 12.3 | 0.9 |"


def test_the_machine_and_the_worst_of_all_are_told() -> None:
    models = {"BeelerReuter": {"agreement": {"a": {"apd90": 0.002}}, "beats": {"kind": "APD90", "V_min": 0, "time": 0}},
              "Fox": {"agreement": {"a": {"apd90": 0.001}}, "precision": {"fp32": 1e-4, "mixed": 1e-6},
                      "beats": {"failed": "status 1"}}}
    made = {"threads": 2, "cells": 16384, "processor": "P", "compiler": "C", "commit": "0123456789",
            "date": "2026-11-22T"}
    told = page({"models": models, "speed": made})
    assert "\n  took turns; 2 threads, 16384 cells, P, C, commit 01234567, 2026-11-22\n" in told
    assert """

- APD90: median 0.15 %, worst 0.2 % (BeelerReuter), 2 models
- fp32: median 0.01 %, worst 0.01 % (Fox), 1 models
- mixed: median 0.0001 %, worst 0.0001 % (Fox), 1 models
- 100 beats: 1 of 2 models

""" in told


def test_the_model_that_is_added_step_by_step_is_the_shipped_one() -> None:
    told = (ROOT / "docs" / "adding_a_model.md").read_text(encoding="utf-8")
    (model,) = re.findall(r"```easyml\n(.*?)```", told, re.DOTALL)
    path = next(info.path for info in shipped_models() if info.name == "RogersMcCulloch")
    assert model == path.read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", told, re.DOTALL)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(script, "figures.py", "exec"), {})
    ours = json.loads(out.getvalue())["variants"]["default"]
    kept = json.loads((ROOT / "tests" / "data" / "models" / "RogersMcCulloch.json").read_text())["variants"]["default"]
    assert ours.keys() == kept.keys() and ours["source"] == kept["source"]
    assert ours["features"]["beat_1"] == pytest.approx(kept["features"]["beat_1"], rel=1e-6)
    assert ours["traces"]["beat_1"]["V"] == pytest.approx(kept["traces"]["beat_1"]["V"], abs=0.002)

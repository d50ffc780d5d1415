"""docs/models.md is what the model files and the measured figures give."""

import json
from pathlib import Path

from upstroke.ionic import shipped_models
from upstroke.ionic.page import page

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "benchmarks" / "results" / "models.json"


def test_page_is_up_to_date() -> None:
    told = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert told == page(json.loads(FIGURES.read_text())), \
        "run python -m upstroke.ionic.page benchmarks/results/models.json > docs/models.md"


def test_figures_belong_to_models_that_are_there() -> None:
    assert set(json.loads(FIGURES.read_text())) <= {info.name for info in shipped_models()}


def test_the_worst_variant_is_told() -> None:
    figures = {"BeelerReuter": {"a": {"rates": 1e-12, "apd90": 0.002},
                                "b": {"rates": 3e-11, "fp32": None, "mixed": 1e-5}}}
    row = next(line for line in page(figures).splitlines() if line.startswith("| BeelerReuter "))
    assert row.endswith(" | 3e-11 |  | 0.2 % | stays up | 0.001 % |")

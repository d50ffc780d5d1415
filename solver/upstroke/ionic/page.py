"""The page of all ionic models, written from their files and from measured figures.

    python -m upstroke.ionic.page benchmarks/results/models.json > docs/models.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from upstroke.ionic.library import load_model, shipped_models
from upstroke.ionic.methods import STORE
from upstroke.ionic.model import Model

#: By model, variant and quantity; a model that nobody measured yet may lack.
Figures = Mapping[str, Mapping[str, Mapping[str, float | None]]]

_HEAD = """# Ionic models

Written by `python -m upstroke.ionic.page benchmarks/results/models.json > docs/models.md` from the model files and from
what `python benchmarks/models.py` measured. `upstroke models NAME` prints one model whole, `--bibtex` its paper.

Each model is held against figures from elsewhere, in `tests/data`; every file there says where they come from.

- rates: the largest relative error of a rate of change, over all states and variants that have figures
- RMS: of V in the first beat, its upstroke left out, in mV
- APD90: the relative error of its duration, the worst variant
- fp32, mixed: what these precisions change of APD90, counted from the stimulus, against fp64 at 0.02 ms;
  "stays up" where the cell then does not repolarise: V lies so near an unstable point that it stops moving in single
  precision; see the model's notes

Where a column is empty there is nothing independent to compare with, or the cell beats or rests by itself; a model
without figures here has a test of its own in `tests/numeric`.

"""


def page(figures: Figures) -> str:
    """The page in Markdown."""
    models = [load_model(info.path) for info in shipped_models()]
    lines = [_HEAD + f"{len(models)} models.", "",
             "| Model | Paper | States | Methods | rates | RMS, mV | APD90 | fp32 | mixed |", "|---" * 9 + "|"]
    lines += [_row(model, figures.get(model.name, {})) for model in models]
    lines += ["", "## Names, variants and deviations"]
    for model in models:
        lines += ["", *_notes(model)]
    return "\n".join(lines) + "\n"


def _row(model: Model, figures: Mapping[str, Mapping[str, float | None]]) -> str:
    header = model.header
    authors = header.get("Authors", "")
    first = authors.split(",")[0].split(";")[0].split(" and ")[0].split()
    link = f"https://doi.org/{header.get('DOI', '')}".replace("(", "%28").replace(")", "%29")
    paper = f"[{first[-1] if first else model.name} {header.get('Year', '')}]({link})"
    methods = [model.v_method, *(s.method for s in model.states if s.method != STORE)]
    used = ", ".join(dict.fromkeys(sorted(methods, key=lambda m: -methods.count(m))))

    def worst(key: str, percent: bool = False) -> str:
        values = [row[key] for row in figures.values() if key in row]
        numbers = [value for value in values if value is not None]
        if len(numbers) < len(values):
            return "stays up"
        if not numbers:
            return ""
        return f"{100 * max(numbers):.2g} %" if percent else f"{max(numbers):.2g}"

    cells = [model.name, paper, str(len(model.states) + 1), used, worst("rates"), worst("trace_rms"),
             *(worst(key, percent=True) for key in ("apd90", "fp32", "mixed"))]
    return f"| {' | '.join(cells)} |"


def _notes(model: Model) -> list[str]:
    header = model.header
    lines = [f"### {model.name}", "", f"{header.get('Authors', '')}: {header.get('Title', '')}."]
    if "Aliases" in header:
        lines.append(f"Also called {header['Aliases']}.")
    lines += [f"`{flag.name}`: {', '.join(f'`{option}`' for option in flag.options)}." for flag in model.flags]
    lines += header.get("Comment", "").split("\n") if "Comment" in header else []
    return [lines[0], "", *(f"- {_plain(line)}" for line in lines[2:])]


def _plain(text: str) -> str:
    """Text in which nothing is Markdown."""
    return text if text.startswith("`") else "".join(f"\\{c}" if c in "*_<[|" else c for c in text)


if __name__ == "__main__":
    sys.stdout.write(page(json.loads(Path(sys.argv[1]).read_text())))

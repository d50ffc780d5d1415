"""The page of all ionic models, written from their files and from measured figures.

    python -m upstroke.ionic.page benchmarks/results/models.json > docs/models.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from upstroke.ionic.library import load_model, shipped_models
from upstroke.ionic.methods import STORE
from upstroke.ionic.model import Model

#: What benchmarks/models.py writes: ``models`` by name, column and, of the agreement, variant; ``speed``: the machine.
Figures = Mapping[str, Any]

_HEAD = """# Ionic models

Written by `python -m upstroke.ionic.page benchmarks/results/models.json > docs/models.md` from the model files and from
what `python benchmarks/models.py` measured. `upstroke models NAME` prints one model whole, `--bibtex` its paper.
[How to add a model](adding_a_model.md).

## What they are

"""

_PROOF = """
## How well they agree, and what they cost

Each model is held against figures from elsewhere, in `tests/data/models`; every file there says where they come from.

- rates: the largest relative error of a rate of change, over all states and variants that have figures
- RMS: of V in the first beat, its upstroke left out, in mV
- APD90: the relative error of its duration in the first beat; cycle: that of the cycle lengths of a cell that beats by
  itself, or of the last spike's time since a current step began. The worst variant, by the model's own methods at
  0.01 ms, or at the step that its file of figures names. `*`: there is no independent trace, and CVODE on the same
  equations stands in for it, so that this shows the methods alone
- fp32, mixed: what these precisions change of that time against fp64 at 0.02 ms
- 100th beat: how its lowest V and its APD90 differ from the first beat's at 0.02 ms, paced as in the figures, from the
  published initial state, which often is not one of rest. Of a cell that beats by itself the cycle after 100 s; of a
  neuron the last spike of the 100th current step. Every V on the way is a number
- Mcell-steps/s: million steps of a cell in a second, in fp64, and how many times those of tenTusscherPanfilov, which
  took turns; {speed}

"""


@cache
def _models() -> tuple[Model, ...]:
    return tuple(load_model(info.path) for info in shipped_models())


def page(figures: Figures) -> str:
    """The page in Markdown."""
    models = _models()
    measured = figures["models"]
    lines = [_HEAD + f"{len(models)} models.", "",
             "| Model | Paper | Species | Tissue | States | Methods |", "|---" * 6 + "|"]
    lines += [_identity(model) for model in models]
    lines += [_PROOF.format(speed=_machine(figures.get("speed", {}))) +
              "| Model | rates | RMS, mV | APD90 | cycle | fp32 | mixed | 100th beat | Mcell-steps/s | times |",
              "|---" * 10 + "|"]
    lines += [_proof(model.name, measured.get(model.name, {})) for model in models]
    lines += ["", *_summary({model.name: measured[model.name] for model in models if model.name in measured})]
    lines += ["", "## Names, variants and deviations"]
    for model in models:
        lines += ["", *_notes(model)]
    return "\n".join(lines) + "\n"


def _identity(model: Model) -> str:
    header = model.header
    authors = header.get("Authors", "")
    first = authors.split(",")[0].split(";")[0].split(" and ")[0].split()
    link = f"https://doi.org/{header.get('DOI', '')}".replace("(", "%28").replace(")", "%29")
    paper = f"[{first[-1] if first else model.name} {header.get('Year', '')}]({link})"
    methods = [model.v_method, *(s.method for s in model.states if s.method != STORE)]
    used = ", ".join(dict.fromkeys(sorted(methods, key=lambda m: -methods.count(m))))
    cells = [model.name, paper, header.get("Species", ""), header.get("Tissue", ""), str(len(model.states) + 1), used]
    return f"| {' | '.join(cells)} |"


def _machine(made: Mapping[str, Any]) -> str:
    if not made:
        return "not measured yet"
    return (f"{made['threads']} threads, {made['cells']} cells, {made['processor']}, {made['compiler']}, "
            f"commit {str(made['commit'])[:8]}, {made['date'][:10]}")


# --------------------------------------------------------------------------------------------------------- figures
def _worst(figures: Mapping[str, Any], key: str) -> float | None:
    """Over the variants of a model; None where nothing was measured, inf where something had no value."""
    rows = [row for row in figures.get("agreement", {}).values() if isinstance(row, Mapping)]
    values = [float("inf") if row[key] is None else row[key] for row in rows if key in row]
    return max(values, default=None)


def _proof(name: str, figures: Mapping[str, Any]) -> str:
    by_cvode = any("by" in row for row in figures.get("agreement", {}).values() if isinstance(row, Mapping))

    def percent(value: float | None, mark: str = "") -> str:
        return "" if value is None else "none" if value == float("inf") else f"{100 * value:.2g} %{mark}"

    rates, rms = _worst(figures, "rates"), _worst(figures, "trace_rms")
    precision, speed = figures.get("precision", {}), figures.get("speed", {})
    cells = [name, "" if rates is None else f"{rates:.2g}", "" if rms is None else f"{rms:.2g}",
             *(percent(_worst(figures, key), "*" if by_cvode else "") for key in ("apd90", "time")),
             *(percent(float("inf") if precision[key] is None else precision[key]) if key in precision else ""
               for key in ("fp32", "mixed")),
             _hundredth(figures.get("beats", {})),
             *(f"{speed[key]:.3g}" if key in speed else "" for key in ("rate", "ratio"))]
    for column, place in (("agreement", 1), ("precision", 5), ("beats", 7), ("speed", 8)):
        if "failed" in figures.get(column, {}):
            cells[place] = "fails"
    return f"| {' | '.join(cells)} |"


def _hundredth(beats: Mapping[str, Any]) -> str:
    if "V_min" not in beats:
        return ""
    time = "" if beats["time"] is None else f", {beats['kind']} {100 * beats['time']:+.2g} %"
    return f"{beats['V_min']:+.2g} mV{time}"


def _summary(measured: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """Median and worst of the columns, with the worst one's name."""
    precision = {name: row.get("precision", {}) for name, row in measured.items()}
    columns = {
        "APD90": {name: _worst(row, "apd90") for name, row in measured.items()},
        "cycle": {name: _worst(row, "time") for name, row in measured.items()},
        **{key: {name: row[key] for name, row in precision.items() if key in row} for key in ("fp32", "mixed")},
    }
    for title, column in columns.items():
        values = {name: value for name, value in column.items() if value is not None}
        if values:
            worst = max(values, key=lambda name: values[name])
            yield (f"- {title}: median {100 * median(values.values()):.2g} %, worst {100 * values[worst]:.2g} % "
                   f"({worst}), {len(values)} models")
    counted = [row["beats"] for row in measured.values() if "beats" in row]
    if counted:
        yield f"- 100 beats: {sum('V_min' in row for row in counted)} of {len(counted)} models"


# ------------------------------------------------------------------------------------------------------------- notes
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

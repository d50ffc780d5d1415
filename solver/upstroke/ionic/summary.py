"""A model on one screen: where it comes from, what can be changed, what it remembers."""

from __future__ import annotations

from upstroke.ionic.evaluate import initial_state
from upstroke.ionic.header import aliases, bibtex
from upstroke.ionic.methods import METHODS, STORE
from upstroke.ionic.model import Model


def describe(model: Model) -> str:
    """Parameters with values and units, states with starts and methods, flags, notes, and the paper as BibTeX."""
    header = model.header
    lines = [model.name + (f" (also {', '.join(names)})" if (names := aliases(header)) else "")]
    lines += [f"  {header['Title']}"] if "Title" in header else []
    if model.flags:
        lines += ["", "Flags"]
        for flag in model.flags:
            options = " | ".join(f"[{o}]" if o == flag.value else o for o in flag.options)
            lines.append(f"  {flag.name:<14} {options}")
    if model.parameters:
        lines += ["", "Parameters"]
        lines += [f"  {p.name:<14} {p.value:<14.10g} {p.unit}".rstrip() for p in model.parameters]
    lines += ["", "States" + " " * 10 + f"{'initial':<14} {'method':<14} unit"]
    methods = {"V": model.v_method, **{s.name: s.method for s in model.states}}
    units = {"V": "mV", **{s.name: s.unit for s in model.states}}
    for name, value in initial_state(model).items():
        lines.append(f"  {name:<14} {value:<14.10g} {methods[name]:<14} {units[name]}".rstrip())
    used = sorted(set(methods.values()) - {STORE})
    lines += ["", "Methods", *(f"  {name:<14} {METHODS[name].doc} (order {METHODS[name].order})" for name in used)]
    shown = ("Title", "Authors", "Year", "Journal", "DOI", "Aliases")
    notes = [(key, part) for key, text in header.items() if key not in shown for part in text.split("\n")]
    if notes:
        lines += ["", "Notes", *(f"  {part}" if key == "Comment" else f"  {key}: {part}" for key, part in notes)]
    if cited := bibtex(header):
        lines += ["", "Cite", *(f"  {line}" for line in cited.splitlines())]
    return "\n".join(lines)

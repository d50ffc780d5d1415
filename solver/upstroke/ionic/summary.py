"""A model on one screen: where it comes from, what can be changed, what it remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from upstroke.ionic.evaluate import initial_state
from upstroke.ionic.globals import GLOBALS
from upstroke.ionic.header import aliases, bibtex
from upstroke.ionic.methods import METHODS, STORE
from upstroke.ionic.model import Model
from upstroke.ionic.plugins import added
from upstroke.ionic.text import to_text


def describe(model: Model) -> str:
    """Flags, parameters with values and units, states with starts, units and methods, events, the shared quantities
    that it changes and reads, notes, and the paper as BibTeX."""
    header = model.header
    lines = [model.name + (f" (also {', '.join(names)})" if (names := aliases(header)) else "")]
    lines += [f"  {header['Title']}"] if "Title" in header else []
    lines += _choices(model)
    lines += ["", "States" + " " * 10 + f"{'initial':<14} {'method':<14} unit"]
    methods = {"V": model.v_method, **{s.name: s.method for s in model.states}}
    units = {"V": "mV", **{s.name: s.unit for s in model.states}}
    for name, value in initial_state(model).items():
        lines.append(f"  {name:<14} {value:<14.10g} {methods[name]:<14} {units[name]}".rstrip())
    lines += _events(model)
    used = sorted(set(methods.values()) - {STORE})
    lines += ["", "Methods", *(f"  {name:<14} {METHODS[name].doc} (order {METHODS[name].order})" for name in used)]
    lines += _shared(model, reads=("Vm",))
    return "\n".join([*lines, *_source(header)])


def describe_plugin(plugin: Model) -> str:
    """Parameters, states, events, what it adds to Iion, the shared quantities it changes and reads, notes, paper."""
    shared = plugin.externals
    lines = [plugin.name + (f" (also {', '.join(names)})" if (names := aliases(plugin.header)) else "")]
    lines += [f"  {plugin.header[key]}" for key in ("Brief", "Title") if key in plugin.header][:1]
    lines += _choices(replace(plugin, parameters=tuple(p for p in plugin.parameters if p.name not in shared)))
    states = [s for s in plugin.states if s.name not in shared]
    if states:
        lines += ["", "States" + " " * 10 + f"{'method':<14} unit"]
        lines += [f"  {s.name:<14} {s.method:<14} {s.unit}".rstrip() for s in states]
    lines += [*_events(plugin), *_shared(plugin)]
    return "\n".join([*lines, *_source(plugin.header)])


def changes(model: Model) -> list[str]:
    """The shared quantities that a model or plug-in adds to or has as a state."""
    return [*["Iion"] * (model.iion is not None), *added(model).values(),
            *(model.externals[s.name] for s in model.states if s.name in model.externals)]


def _choices(model: Model) -> list[str]:
    """Flags and parameters."""
    lines: list[str] = []
    if model.flags:
        lines += ["", "Flags"]
        for flag in model.flags:
            options = " | ".join(f"[{o}]" if o == flag.value else o for o in flag.options)
            lines.append(f"  {flag.name:<14} {options}")
    if model.parameters:
        lines += ["", "Parameters"]
        lines += [f"  {p.name:<14} {p.value:<14.10g} {p.unit}".rstrip() for p in model.parameters]
    return lines


def _events(model: Model) -> list[str]:
    """What happens at the end of a step."""
    lines = [f"  when {to_text(event.condition)}: "
             + ", ".join(f"{change.name} = {to_text(change.expr)}" for change in event.changes)
             for event in model.events]
    return ["", "Events", *lines] if lines else []


def _shared(model: Model, reads: Sequence[str] = ()) -> list[str]:
    """The global quantities that are changed and read."""
    own, shared = {p.name for p in model.parameters}, model.externals
    written = changes(model)
    read = [*reads, *(target for local, target in shared.items() if local in own)]
    lines: list[str] = []
    for title, names in (("Changes", written), ("Reads", read)):
        if names:
            entries = [GLOBALS[name] for name in names]
            lines += ["", title, *(f"  {e.name:<14} {e.unit:<14} {e.doc}" for e in entries)]
    return lines


def _source(header: Mapping[str, str]) -> list[str]:
    """Notes, and the paper as BibTeX."""
    lines: list[str] = []
    shown = ("Title", "Authors", "Year", "Journal", "DOI", "Aliases", "Kind", "Brief")
    notes = [(key, part) for key, text in header.items() if key not in shown for part in text.split("\n")]
    if notes:
        lines += ["", "Notes", *(f"  {part}" if key == "Comment" else f"  {key}: {part}" for key, part in notes)]
    if cited := bibtex(header):
        lines += ["", "Cite", *(f"  {line}" for line in cited.splitlines())]
    return lines

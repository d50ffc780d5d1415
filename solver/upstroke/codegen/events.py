"""What happens at the end of a step -> selections. No branches: a loop over nodes stays a vector loop.

Names in the text: ``e_X`` value of X after the step, ``h0`` whether an event happens, ``n0_X`` what X then becomes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from upstroke.codegen.expressions import Printer
from upstroke.ionic.expr import Expr
from upstroke.ionic.model import Definition, Event
from upstroke.ionic.symbolic import free_names


def roots(events: Iterable[Event]) -> list[Expr]:
    """Everything that events evaluate."""
    return [expr for event in events for expr in (event.condition, *(change.expr for change in event.changes))]


def statements(events: Sequence[Event], definitions: Sequence[Definition], printer: Printer,
               wide: Collection[str]) -> list[str]:
    """All events at once, on the values at the step's end; of several changes of a name the first counts.

    ``definitions`` are what the events rest on and what changes in a step, in order. ``wide`` states are kept in fp64.
    """
    after = {"t", *(d.name for d in definitions)}

    def name(id: str) -> str:
        return f"{'e' if id in after else 'v'}_{id}"

    lines = ["/* events */"]
    if any("t" in free_names(expr) for expr in (*roots(events), *(d.expr for d in definitions))):
        lines.append("const real e_t = v_t + v_dt;")
    lines += [f"const real e_{d.name} = {printer.value(d.expr, name)};" for d in definitions]
    for i, event in enumerate(events):
        lines.append(f"const up_bits h{i} = {printer.condition(event.condition, name)};")
        lines += [f"const real n{i}_{c.name} = {printer.value(c.expr, name)};" for c in event.changes]
    for i, event in reversed(list(enumerate(events))):
        for change in event.changes:
            new, old = f"n{i}_{change.name}", f"v_{change.name}"
            if change.name in wide:
                lines.append(f"w_{change.name} = h{i} ? (double){new} : w_{change.name};")
            lines.append(f"{old} = up_select(h{i}, {new}, {old});")
    return lines

"""The repolarisation reserve: how strong a current must be to keep a cell from repolarising.

From --RRC-delay after the stimulus on, a depolarising current flows for --RRC-clamp-dur. It prevents repolarisation if
V does not fall below --RRC-repol while it flows. Cells with many currents run as one batch, and find the least to
within --RRC-tol (uA/cm^2). openCARP has these options and does not say what it does with them; this is what we take
them to mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upstroke.bench.folder import Folder
from upstroke.bench.options import Options
from upstroke.bench.protocol import Pulses, combined, onsets, pulse, steps_of, stimulus
from upstroke.bench.search import boundary
from upstroke.bench.subject import Subject
from upstroke.errors import OptionError

MOST = 50.0            # uA/cm^2


def reserve(options: Options, subject: Subject, folder: Folder) -> str:
    """The least current that prevents repolarisation, and the largest tried that does not: told, and in ``run.json``.

    Raises
    ------
    OptionError : several cells; a cell that no current keeps up, or that stays up without one
    """
    if subject.n > 1:
        raise OptionError("--RRC-... and --num", f"the current is that of one cell, and there are {subject.n}",
                          "leave out --num, --vary and --csv")
    dt = subject.dt
    begins = onsets(options, dt)
    start = (int(begins[-1]) if len(begins) else 0) + steps_of(options["RRC-delay"], dt)
    end = start + steps_of(options["RRC-clamp-dur"], dt)

    def stays_up(currents: NDArray[np.float64]) -> NDArray[np.bool_]:
        n = len(currents)
        held = Pulses("V", "current", pulse(1.0, options["RRC-clamp-dur"], dt), [np.array([start])], "--RRC-delay",
                      strength=currents)
        inputs = combined([*stimulus(options, subject.model, dt, [begins]), held], [begins] * n)
        cells = subject.copies(inputs, subject.initial, beats=0)
        cells.advance(start)
        up = np.ones(n, bool)
        while cells.step < end:
            rows = cells.advance(min(1000, end - cells.step), ("V",), every=max(1, steps_of(1.0, dt)), cells=n)
            up &= ~(rows.values["V"] < options["RRC-repol"]).any(axis=0)
        return up

    found = boundary(stays_up, 0.0, MOST, options["RRC-tol"])
    if found is None:
        raise OptionError("--RRC-repol", f"between 0 and {MOST:g} uA/cm^2 no current decides whether V falls below "
                          f"{options['RRC-repol']:g} mV", "choose another --RRC-repol, --RRC-delay or --RRC-clamp-dur")
    folder.results |= {"reserve": {"prevents": found[1], "allows": found[0], "unit": "uA/cm^2"}}
    return f"repolarisation reserve current {found[1]:.4g} uA/cm^2 (V falls with {found[0]:.4g})"

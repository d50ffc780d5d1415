"""Curves beneath a picture: leads of an electrocardiogram, or probes, with the time of the frame marked in each.

Twelve leads stand as on paper, in columns: I II III, aVR aVL aVF, V1 V2 V3, V4 V5 V6. Curves of one kind share a scale,
so that their amplitudes can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from upstroke.errors import OptionError, did_you_mean
from upstroke.view.recording import UNITS, Floats, Recording, read_columns

MOST = 12                # curves that are drawn where none are asked for
NARROWEST = 125          # pixels of a strip


@dataclass(frozen=True, eq=False)
class Strip:
    """A curve.

    Attributes
    ----------
    label : its name, and of the first of a kind the unit, too
    time, values : (k,) ms, and of the unit
    bounds : the least and the greatest value of all strips of its kind, with some room
    """

    label: str
    time: Floats
    values: Floats
    bounds: tuple[float, float]

    def thinned(self, most: int) -> Strip:
        """At most so many values: of each of equal pieces the least and the greatest, in the order they come."""
        step = -(-2 * len(self.time) // most)
        if step <= 2:
            return self
        blocks = -(-len(self.time) // step)
        rows = np.minimum(np.arange(blocks * step), len(self.time) - 1).reshape(blocks, step)
        of = self.values[rows]
        kept = rows[np.arange(blocks)[:, None], np.sort(np.stack([of.argmin(axis=1), of.argmax(axis=1)], axis=1))]
        return Strip(self.label, self.time[kept.ravel()], self.values[kept.ravel()], self.bounds)


def strips_of(recording: Recording, names: Sequence[str] | None, begin: float,
              end: float) -> tuple[tuple[Strip, ...], tuple[str, ...]]:
    """The strips of a run, and a note where some are left out.

    Arguments
    ---------
    names : leads (II, phi.RA) or probes (soma.V); None: the leads of the run, at most twelve, or else the potentials of
        its electrodes
    begin, end : ms, what is shown of them

    Raises
    ------
    OptionError for a name that the run does not have
    """
    known = _curves(recording)
    notes: tuple[str, ...] = ()
    if names is None:
        columns = [name for name, curve in known.items() if not curve.kind]
        leads = [name for name in columns if not name.startswith("phi.")] or columns
        names = leads[:MOST]
        notes = (f"{MOST} of {len(leads)} leads are shown; --curves chooses",) * (len(leads) > MOST)
    if names and not known:
        raise OptionError("--curves", f"{recording.folder} has no electrocardiogram and no probes",
                          "run it again with [watch.ecg] or [watch.probes], or leave it out")
    for name in names:
        if name not in known:
            raise OptionError("--curves", f"{recording.folder} has no lead and no probe {name!r}",
                              did_you_mean(name, known))
    shown = {name: curve for name in names if (curve := known[name].between(begin, end)) is not None}
    strips, seen = [], set[str]()
    for name, curve in shown.items():
        values = np.concatenate([other.values for other in shown.values() if other.kind == curve.kind])
        low, high = float(values.min()), float(values.max())
        room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        strips.append(Strip(f"{name} ({curve.unit})" if curve.unit and curve.kind not in seen else name, curve.time,
                            curve.values, (low - room, high + room)))
        seen.add(curve.kind)
    return tuple(strips), notes


@dataclass(frozen=True, eq=False)
class _Curve:
    """A column of a file: ``kind`` is the variable of a probe, nothing of an electrocardiogram."""

    kind: str
    unit: str
    time: Floats
    values: Floats

    def between(self, begin: float, end: float) -> _Curve | None:
        """What is known of it in some time; None where that makes no curve."""
        inside = (self.time >= begin - 1e-9) & (self.time <= end + 1e-9) & np.isfinite(self.values)
        return _Curve(self.kind, self.unit, self.time[inside], self.values[inside]) if inside.sum() > 1 else None


def _curves(recording: Recording) -> dict[str, _Curve]:
    """All that a run has, leads first."""
    found: dict[str, _Curve] = {}
    for file in ("probes.csv", "ecg.csv"):
        columns = read_columns(recording.folder, file)
        time = columns.pop("time_ms", np.empty(0))
        kinds = {name: name.rpartition(".")[2] if file == "probes.csv" else "" for name in columns}
        found = {name: _Curve(kinds[name], UNITS.get(kinds[name], "") if kinds[name] else "mV", time, values)
                 for name, values in columns.items()} | found
    return found


def strip_columns(count: int, width: float) -> int:
    """In how many columns so many strips stand; each is filled before the next."""
    return max(1, min(-(-count // 3), 4, int(width // NARROWEST)))

"""What is known of each beat, as openCARP's text and as CSV, written while beats end.

openCARP's ``X_AP_stats.dat`` has a line for each beat, ``X_APD_restitution.dat`` one for each premature beat:

    #Beat Pre(P||*) lc  APD(n)  DI(n)   DI(n-1)  Tri   VmMax   VmMin   tAct

P marks a premature beat, lc is 1 where the beat was like the one before, APD is APD90, DI(n) the rest after the beat
and DI(n-1) that before it, Tri = APD90 - APD30, tAct when the upstroke was; times in ms, voltages in mV. What is not
known is nan: the rest before the first beat and after the last, the APD of a beat that had not come back. Tri is
measured from the first beat on.

``ap_stats.csv`` and ``apd_restitution.csv`` have the same and more by name, with every digit that counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from upstroke.bench.beats import Beats
from upstroke.bench.table import GrowingFile

Floats = NDArray[np.float64]
HEADING = "#Beat Pre(P||*) lc  APD(n)  DI(n)   DI(n-1)  Tri   VmMax   VmMin   tAct\n\n"
_LINE = "{:<6d}{:<11s}{:d}  {:6.2f}  {:6.2f}  {:6.2f}  {:5.2f}  {:5.2f}  {:6.2f}  {:6.2f}\n"
#: Columns of the CSV files and their units.
COLUMNS = {
    "beat": "", "premature": "", "limit_cycle": "", "t_act": "ms", "APD30": "ms", "APD50": "ms", "APD90": "ms",
    "DI": "ms", "DI_before": "ms", "triangulation": "ms", "V_rest": "mV", "V_max": "mV", "V_min": "mV",
    "dVdt_max": "mV/ms", "EADs": "",
}
ALIKE = 1e-4


def alike(beats: Beats) -> NDArray[np.bool_]:
    """(beats, cells) whether a beat was like the one before: all that is measured of it to within ``ALIKE``.

    Durations are compared as shares of APD90, voltages as shares of the amplitude, calcium as shares of its top. A
    stand-in for the distance between all states, for runs that do not look at it (``--until-steady`` does).
    """
    close = np.ones(beats.number.shape, bool)
    for values, size in ((beats.APD30, beats.APD90), (beats.APD90, beats.APD90), (beats.V_rest, beats.amplitude),
                         (beats.V_max, beats.amplitude), (beats.Ca_rest, beats.Ca_max), (beats.Ca_max, beats.Ca_max)):
        close &= np.abs(np.diff(values, axis=0, prepend=np.nan)) <= ALIKE * np.abs(size)    # False for NaN
    return close


class ApStatistics:
    """The files of one cell's beats; each beat is written once, when it and the rest after it are over.

    Parameters
    ----------
    stats, restitution : files to make, of all beats and of premature ones; ``.csv`` or openCARP's text by their ending;
        None: none
    premature : of each beat from the first on, whether it is; of those beyond, none

    Raises
    ------
    OutputError where a file cannot be written
    """

    def __init__(self, stats: Path | None, restitution: Path | None = None, premature: Sequence[bool] = ()) -> None:
        self._files = [(_Lines(path), early) for path, early in ((stats, False), (restitution, True)) if path]
        self._premature = premature
        self._written, self._rest = 0, np.nan

    def see(self, beats: Beats) -> None:
        """Write the beats of the first cell that are over and were not written.

        A beat counts as over when two more have begun: then the upstroke after it is known.
        """
        self._write(beats, newest=float(np.nanmax(beats.number[:, 0], initial=0.0)) - 2)

    def close(self, beats: Beats) -> None:
        """Write the rest and end."""
        self._write(beats, newest=np.inf)
        self.__exit__(None, None, None)

    def _write(self, beats: Beats, newest: float) -> None:
        one = beats.of(0)
        cycle = alike(one)[:, 0]
        columns = {name: getattr(one, name)[:, 0] for name in (
            "t_act", "APD30", "APD50", "APD90", "DI", "triangulation", "V_rest", "V_max", "V_min", "dVdt_max")}
        for k, number in enumerate(one.number[:, 0]):
            if not self._written < number <= newest:       # NaN: no beat
                continue
            beat = int(number)
            early = beat <= len(self._premature) and bool(self._premature[beat - 1])
            row = {"beat": beat, "premature": int(early), "limit_cycle": int(cycle[k]), "DI_before": self._rest,
                   "EADs": one.eads[k, 0]} | {name: float(values[k]) for name, values in columns.items()}
            for file, only_early in self._files:
                if early or not only_early:
                    file.add(row)
            self._written, self._rest = beat, float(row["DI"])

    def __enter__(self) -> ApStatistics:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for file, _ in self._files:
            file.close()


class _Lines:
    """A file of beats."""

    def __init__(self, path: Path) -> None:
        self._file, self._csv = GrowingFile(path), path.suffix == ".csv"
        self._file.add(((",".join(COLUMNS) + "\n") if self._csv else HEADING).encode())

    def add(self, row: Mapping[str, float]) -> None:
        if self._csv:
            line = ",".join(f"{row[name]:.12g}" for name in COLUMNS) + "\n"
        else:
            rest = [row[name] for name in ("APD90", "DI", "DI_before", "triangulation", "V_max", "V_min", "t_act")]
            line = _LINE.format(row["beat"], "P" if row["premature"] else "*", row["limit_cycle"], *rest)
        self._file.add(line.encode())

    def close(self) -> None:
        self._file.close()

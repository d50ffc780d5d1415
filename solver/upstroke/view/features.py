"""Features of V of the probes, by eFEL, the Electrophys Feature Extraction Library: counts, times, widths, depths.

They are eFEL's own, with its names, definitions and units (https://efel.readthedocs.io). It resamples V at the probes'
interval and takes -20 mV as the threshold of a spike. Install it with ``pip install "upstroke[features]"``.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from upstroke.errors import BackendError, OptionError, did_you_mean
from upstroke.output.files import Made, whole_file
from upstroke.units import parse
from upstroke.view.recording import Floats, read_manifest, read_probes

INSTALL = 'pip install "upstroke[features]"'
USUAL = ("spike_count", "time_to_first_spike", "mean_frequency", "ISI_CV", "peak_time", "AP_amplitude",
         "AP_duration_half_width", "AHP_depth", "voltage_base", "maximum_voltage", "minimum_voltage")
HEAD = ("probe", "feature", "index", "value", "unit")
Row = tuple[str, str, int, float, str]


def write_features(folder: Path, path: Path, names: Sequence[str] = (),
                   window: tuple[float, float] | None = None) -> Made:
    """Write a table with a line for each value: probe, feature, number of the value (spikes count from 0), value, unit.

    Arguments
    ---------
    names : eFEL's names; by default `USUAL`
    window : ms, from the start to the end of what is applied; by default that of the first stimulus, else of the run

    Raises
    ------
    OptionError : no probes of V; a feature that eFEL lacks
    BackendError : eFEL is missing
    """
    if path.suffix.lower() != ".csv":
        raise OptionError("--features", f"{path.name!r} is no .csv", "name it features.csv")
    rows = _rows(folder, names, window)
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEAD)
        out.writerows((*row[:3], f"{row[3]:.9g}", row[4]) for row in rows)
    empty = [name for name in names if name not in {row[1] for row in rows}]
    return Made(path, (f"no probe has {', '.join(empty)}",) if empty else ())


def measure(folder: Path, names: Sequence[str] = (),
            window: tuple[float, float] | None = None) -> dict[str, dict[str, Floats]]:
    """By probe and feature the values, as `write_features` writes them; none where a trace has no such thing."""
    found: dict[str, dict[str, list[float]]] = {}
    for probe, name, _, value, _ in _rows(folder, names, window):
        found.setdefault(probe, {}).setdefault(name, []).append(value)
    probes = read_probes(folder)[1]
    return {probe: {name: np.array(found.get(probe, {}).get(name, [])) for name in names or USUAL}
            for probe, values in probes.items() if "V" in values}


def _rows(folder: Path, names: Sequence[str], window: tuple[float, float] | None) -> list[Row]:
    """The lines of the table. Features that a trace does not have (the width of a spike, without one) have no line."""
    efel = _efel(folder)
    known = efel.get_feature_names()
    for name in names:
        if name not in known:
            raise OptionError("--feature", f"eFEL has no feature {name!r}", did_you_mean(name, known))
    time, probes = read_probes(folder)
    voltages = {name: values["V"] for name, values in probes.items() if "V" in values}
    if not voltages:
        raise OptionError(str(folder), "its probes do not hold V", 'add "V" to watch.probes.variables')
    begin, end = window or _window(folder, time)
    if not time[0] <= begin < end <= time[-1] + 1e-9:
        raise OptionError("--window", f"{begin:g} to {end:g} ms is not within the probes' time",
                          f"they go from {time[0]:g} to {time[-1]:g} ms")
    chosen = list(names or USUAL)
    trace: list[dict[str, Any]] = [{"T": time, "V": V, "stim_start": [begin], "stim_end": [min(end, time[-1])]}
                                   for V in voltages.values()]
    efel.reset()
    efel.set_setting("interp_step", float(np.diff(time).min()))
    found = efel.get_feature_values(trace, chosen, raise_warnings=False)
    return [(probe, name, k, float(value), _unit(name)) for probe, values in zip(voltages, found, strict=True)
            for name in chosen for k, value in enumerate(values[name] if values[name] is not None else ())]


def _window(folder: Path, time: Floats) -> tuple[float, float]:
    """From the start of the first stimulus to its end, where that is inside the run; else the whole run."""
    case = read_manifest(folder).get("case")
    stimuli = case.get("stimulus", []) if isinstance(case, dict) else []
    if stimuli and "start" in stimuli[0] and "duration" in stimuli[0]:
        begin = float(parse(stimuli[0]["start"], "time"))
        end = begin + float(parse(stimuli[0]["duration"], "time"))
        if time[0] <= begin < end <= time[-1]:
            return begin, end
    return float(time[0]), float(time[-1])


def _unit(name: str) -> str:
    from efel.units import get_unit

    try:
        unit = str(get_unit(name))
    except KeyError:
        return ""
    return "" if unit == "constant" else unit


def _efel(folder: Path) -> Any:
    try:
        import efel
    except ImportError:
        raise BackendError(str(folder), "features are measured by eFEL, which is not installed", INSTALL) from None
    return efel

"""Maps of a run: velocities that agree with arrival times, along and across fibres, in the file and in the summary."""

import meshio
import numpy as np
import pytest

from upstroke import load_case
from upstroke.run import run

CASE = {"mesh": {"kind": "sheet", "size": ["16 mm", "8 mm"], "dx": "0.25 mm", "fibre": [1, 0, 0]},
        "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["4 mS/cm", "1 mS/cm"]},
                   "waves": 0.2},
        "membrane": {"model": "MitchellSchaeffer", "parameters": {"tau_close": 15, "tau_open": 15}},
        "time": {"end": "120 ms", "dt": "0.1 ms"},
        "stimulus": {"box": {"min": ["0 mm", "0 mm"], "max": ["1 mm", "1 mm"]}, "current": "100 uA/cm^2",
                     "duration": "1 ms", "period": "60 ms", "count": 2},
        "watch": {"activation": {"maps": ["velocity", "cycle_length", "dispersion"]}},
        "output": {"picture": False}, "backend": {"device": "cpu"}}


def test_velocities_cycles_and_dispersion_of_a_run(tmp_path):
    result = run(load_case(CASE), tmp_path / "run")
    found = meshio.read(tmp_path / "run" / "activation.vtu").point_data
    times, x, y = found["activation_ms"], *result.mesh.points[:, :2].T
    assert result.activation.beats == 2
    for along, across, axis in ((x, y, 0), (y, x, 1)):
        edge = np.flatnonzero(across < 1e-9)
        one, two = (edge[np.argmin(abs(along[edge] - place))] for place in (0.4, 0.7))
        arrival = (along[two] - along[one]) / (times[two] - times[one]) * 10.0
        line = edge[(along[edge] > 0.39) & (along[edge] < 0.71)]
        assert np.median(found["velocity_m_per_s"][line, axis]) == pytest.approx(arrival, rel=0.02)
        assert abs(found["velocity_m_per_s"][line, 1 - axis]).max() < 0.05 * arrival
    assert np.array_equal(np.linalg.norm(found["velocity_m_per_s"], axis=1), found["cv_m_per_s"], equal_nan=True)
    assert 0.3 < result.summary["cv_m_per_s"][0]["median"] < 0.8
    assert np.nanmedian(found["cycle_length_ms"]) == pytest.approx(69.0, abs=3.0)      # waves follow slower
    beat = result.summary["dispersion"][0]
    ends = found["repolarisation_ms"]
    assert beat["repolarisation_ms"]["range"] == np.ptp(ends[np.isfinite(ends)]) > 10.0
    assert 0 < beat["apd90_ms"]["sd"] < beat["apd90_ms"]["range"] and "apd90_gradient_ms_per_mm_2" in found

    plain = run(load_case(CASE | {"watch": {}, "time": CASE["time"] | {"end": "2 ms"}}), tmp_path / "plain")
    assert "cv_m_per_s" not in plain.summary and set(plain.grid().point_data) == {"activation_ms", "repolarisation_ms",
                                                                                 "apd90_ms"}

"""Trains, ramps, extra stimuli and bursts in runs: as the same pulses one by one, and before `upstroke erp`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from test_erp import CABLE, END

from upstroke import load_case, run
from upstroke.check import check
from upstroke.experiments.erp import find_erp

RAMP = {"period": "300 ms", "count": 3, "decrement": "60 ms", "shortest_period": "220 ms"}      # at 0, 300 and 540 ms


def test_one_table_is_its_pulses_one_by_one(tmp_path: Path) -> None:
    """A ramp with an extra stimulus, twice: every pulse excites, and all is the same bit for bit."""
    case = CABLE | {"time": {"end": "1900 ms", "dt": "0.1 ms"}, "watch": {
        "probes": CABLE["watch"]["probes"], "spikes": {"points": {"far": ["15 mm"]}, "threshold": "-40 mV"}}}
    at = [0, 300, 540, 730, 1000, 1300, 1540, 1730]
    table = END | RAMP | {"extra": ["190 ms"], "bursts": 2, "burst_period": "1 s"}
    one = run(load_case(case | {"stimulus": table}), tmp_path / "one")
    run(load_case(case | {"stimulus": [END | {"start": f"{t} ms"} for t in at]}), tmp_path / "many")
    far = one.spikes()["far"]
    assert len(far) == len(at) and np.all((far - at > 10.0) & (far - at < 60.0))
    for file in ("probes.csv", "spikes.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "many" / file).read_bytes()


def test_check_tells_all_times() -> None:
    text = check(load_case(CABLE | {"stimulus": END | RAMP | {"name": "ramp", "bursts": 2, "burst_period": "1 s"}}))
    assert ("# stimulus 'ramp': 5 nodes, 60 uA/cm^2; 2 bursts at 0, 1000 ms, the first of 3 pulses of 2 ms at 0, 300, "
            "540 ms\n") in text
    assert "# note: stimulus 'ramp': 3 of 6 pulses start when the run is over\n" in text + "\n"


def test_the_refractory_period_after_a_ramp(tmp_path: Path) -> None:
    """It is counted from the last pulse, and is shorter than that after a slower train."""
    S2 = END | {"name": "S2", "start": "840 ms"}
    time = {"time": {"end": "1100 ms", "dt": "0.1 ms"}}
    ramp = find_erp(load_case(CABLE | time | {"stimulus": [END | RAMP | {"name": "S1"}, S2]}), 60.0, 290.0, 2.0,
                    out=tmp_path / "ramp")
    one_by_one = [END | {"name": f"S1 {t}", "start": f"{t} ms"} for t in (0, 300, 540)]
    again = find_erp(load_case(CABLE | time | {"stimulus": [*one_by_one, S2]}), 60.0, 290.0, 2.0,
                     out=tmp_path / "again")
    assert repr(ramp.trials) == repr(again.trials)
    slow: dict[str, Any] = {"name": "S1", "period": "300 ms", "count": 2}
    late = END | {"name": "S2", "start": "600 ms"}
    train = find_erp(load_case(CABLE | {"stimulus": [END | slow, late]}), 60.0, 290.0, 2.0, out=tmp_path / "train")
    assert 0.0 < train.erp_ms - ramp.erp_ms < 20.0

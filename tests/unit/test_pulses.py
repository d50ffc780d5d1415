"""When pulses start: trains, ramps, extra stimuli, bursts; how that is said, and what is wrong with keys."""

from __future__ import annotations

import math
from typing import Any

import pytest

from upstroke.case import load_case
from upstroke.case.pulses import Pulses
from upstroke.errors import UpstrokeError


def starts(pulses: Pulses) -> list[float]:
    return [pulses.onset(k) for k in range(pulses.total)]


def test_a_train() -> None:
    assert starts(Pulses(5.0)) == [5.0]
    assert starts(Pulses(5.0, 400.0, 3)) == [5.0, 405.0, 805.0]
    third = Pulses(0.3, 0.1, 10 ** 6)
    assert [third.onset(k) for k in (3, 999_999)] == [0.3 + 3 * 0.1, 0.3 + 999_999 * 0.1]      # no sum of steps


def test_extra_stimuli_follow_the_train() -> None:
    assert starts(Pulses(10.0, 400.0, 3, extra=(300.0, 250.0))) == [10, 410, 810, 1110, 1360]
    assert starts(Pulses(10.0, extra=(300.0,))) == [10, 310]


def test_a_ramp_falls_to_the_shortest_period() -> None:
    assert starts(Pulses(0.0, 400.0, 6, 60.0, 250.0)) == [0, 400, 740, 1020, 1270, 1520]       # 400, 340, 280, 250, 250
    assert starts(Pulses(0.0, 400.0, 5, 50.0, 300.0)) == [0, 400, 750, 1050, 1350]             # 300 is reached exactly
    assert starts(Pulses(0.0, 400.0, 3, 60.0, 250.0)) == [0, 400, 740]                         # it is not reached
    assert starts(Pulses(0.0, 400.0, 5, 60.0, 250.0, extra=(200.0,)))[-2:] == [1270, 1470]
    long = Pulses(0.0, 400.0, 10 ** 9, 60.0, 250.0)
    assert long.onset(10 ** 9 - 1) == 1020 + 250.0 * (10 ** 9 - 4)
    assert long.before(1270.0) == 4 and long.before(1270.001) == 5


def test_bursts() -> None:
    theta = Pulses(20.0, 10.0, 4, bursts=3, burst_period=200.0)
    assert starts(theta) == [20, 30, 40, 50, 220, 230, 240, 250, 420, 430, 440, 450]
    assert (theta.in_burst, theta.total) == (4, 12)
    assert [theta.before(t) for t in (20.0, 20.1, 51.0, 220.0, 1e9)] == [0, 1, 4, 4, 12]
    scanned = Pulses(0.0, 400.0, 2, extra=(300.0,), bursts=2, burst_period=3000.0)
    assert starts(scanned) == [0, 400, 700, 3000, 3400, 3700]


@pytest.mark.parametrize("pulses, words", [
    (Pulses(5.0), "1 pulse of 2 ms at 5 ms"),
    (Pulses(0.0, 400.0, 4), "4 pulses of 2 ms at 0, 400, 800, 1200 ms"),
    (Pulses(0.0, 400.0, 8, extra=(300.0, 250.0)), "10 pulses of 2 ms at 0, 400, ..., 2800, 3100, 3350 ms"),
    (Pulses(0.0, 400.0, 9, 60.0, 250.0), "9 pulses of 2 ms at 0, 400, 740, 1020, 1270, ..., 2270 ms"),
    (Pulses(0.0, 400.0, 3, 60.0, 250.0), "3 pulses of 2 ms at 0, 400, 740 ms"),
    (Pulses(20.0, 10.0, 4, bursts=3, burst_period=200.0),
     "3 bursts at 20, 220, 420 ms, the first of 4 pulses of 2 ms at 20, 30, 40, 50 ms"),
    (Pulses(0.0, bursts=10 ** 6, burst_period=1e3),
     "1000000 bursts at 0, 1000, ..., 999999000 ms, the first of 1 pulse of 2 ms at 0 ms"),
])
def test_all_times_in_a_few_words(pulses: Pulses, words: str) -> None:
    assert pulses.describe(2.0) == words


CASE: dict[str, Any] = {
    "mesh": {"kind": "cable", "length": "10 mm", "dx": "0.25 mm"},
    "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["2 mS/cm"]}},
    "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "10 ms", "dt": "0.1 ms"}}


def stimulus(**keys: Any) -> dict[str, Any]:
    one = {"box": {"min": ["0 mm"], "max": ["1 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"}
    return CASE | {"stimulus": one | keys}


def test_keys_of_a_case() -> None:
    table, = load_case(stimulus(start="0.1 s", period="400 ms", count=6, decrement="60 ms", shortest_period="0.25 s",
                                extra=["200 ms", "0.19 s"], bursts=2, burst_period="3 s")).stimulus
    assert Pulses.of(table) == Pulses(100.0, 400.0, 6, 60.0, 250.0, (200.0, 190.0), 2, 3000.0)
    table, = load_case(stimulus()).stimulus
    assert Pulses.of(table) == Pulses(0.0, math.inf, 1)


@pytest.mark.parametrize("keys, message", [
    ({"count": 3}, "case: stimulus.count: 3 pulses without a period\n  -> add period = \"500 ms\""),
    ({"count": 3, "period": "1 ms"}, "case: stimulus.period: 1 ms is shorter than the pulse of 2 ms\n"
     "  -> make the period longer or the duration shorter"),
    ({"count": 3, "period": "9 ms", "decrement": "3 ms"}, "case: stimulus.decrement: has no end\n"
     "  -> add shortest_period = \"200 ms\""),
    ({"count": 3, "period": "9 ms", "shortest_period": "3 ms"},
     "case: stimulus.shortest_period: is where decrements end, and there are none\n  -> add decrement = \"10 ms\""),
    ({"count": 2, "period": "9 ms", "decrement": "3 ms", "shortest_period": "3 ms"},
     "case: stimulus.decrement: the second period is the first that it shortens, and there is one\n"
     "  -> add count = 9, or leave it out"),
    ({"decrement": "3 ms", "shortest_period": "3 ms"},
     "case: stimulus.decrement: the second period is the first that it shortens, and there is none\n"
     "  -> add count = 9, or leave it out"),
    ({"count": 3, "period": "9 ms", "decrement": "3 ms", "shortest_period": "10 ms"},
     "case: stimulus.shortest_period: 10 ms is longer than the period of 9 ms\n  -> swap the two"),
    ({"count": 3, "period": "9 ms", "decrement": "3 ms", "shortest_period": "1 ms"},
     "case: stimulus.shortest_period: 1 ms is shorter than the pulse of 2 ms\n"
     "  -> make it longer or the duration shorter"),
    ({"extra": ["9 ms", "1 ms"]}, "case: stimulus.extra.1: 1 ms is shorter than the pulse of 2 ms\n"
     "  -> make the interval longer or the duration shorter"),
    ({"extra": []}, "case: stimulus.extra: expected at least 1 values, found 0\n"
     "  -> for example extra = [\"300 ms\", \"250 ms\"]"),
    ({"extra": ["0 ms"]}, "case: stimulus.extra.0: must be > 0, found \"0 ms\"\n"
     "  -> for example extra = [\"300 ms\", \"250 ms\"]"),
    ({"bursts": 3}, "case: stimulus.bursts: 3 bursts without a period\n  -> add burst_period = \"1 s\""),
    ({"burst_period": "1 s"}, "case: stimulus.burst_period: there is one burst\n  -> add bursts = 5, or leave it out"),
    ({"count": 3, "period": "9 ms", "extra": ["8 ms"], "bursts": 2, "burst_period": "27 ms"},
     "case: stimulus.burst_period: 27 ms is shorter than a burst of 28 ms\n  -> make it longer, or the burst shorter"),
    ({"bursts": 2, "burst_period": "1 ms"},
     "case: stimulus.burst_period: 1 ms is shorter than a burst of 2 ms\n  -> make it longer, or the burst shorter"),
])
def test_what_cannot_be(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UpstrokeError) as error:
        load_case(stimulus(**keys))
    assert str(error.value) == message


def test_bursts_may_touch() -> None:
    load_case(stimulus(count=3, period="9 ms", extra=["8 ms"], bursts=2, burst_period="28 ms"))

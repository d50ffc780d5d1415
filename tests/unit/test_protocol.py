"""Stimuli: which nodes, how much charge, and when."""

import numpy as np
import pytest

from upstroke.backend.cpu import Inputs
from upstroke.case.pulses import Pulses
from upstroke.case.schema import Box, CableMesh, Sphere, Stimulus
from upstroke.errors import CaseError, MeshError
from upstroke.mesh import build_mesh
from upstroke.protocol import Stimuli, Train, schedule

CABLE = build_mesh(CableMesh(length=1.0, dx=0.1))


def train(**keys):
    given = dict(name="s", nodes=np.array([0, 1]), current=10.0, start=1.0, duration=2.0) | keys
    pulses = {name: given.pop(name) for name in [*given] if name in Pulses.__dataclass_fields__}
    return Train(**given, pulses=Pulses(**pulses))


def currents(trains, dt, steps, n=4):
    """(steps, n): what each node receives in each step."""
    table = Stimuli(tuple(trains), dt).table(steps)
    current, seen = np.zeros(n), []
    stage = Inputs(current, table.nodes, table.offsets, table.trains, table.scale, table.steps, table.values)
    for step in range(steps):
        stage.run(step)
        seen.append(current.copy())
    return np.array(seen)


def charge(stimulus, dt, steps):
    return currents([stimulus], dt, steps).sum(axis=0) * dt


@pytest.mark.parametrize("dt", [0.5, 0.1, 0.3, 0.7, 0.05, 0.01])
def test_charge_is_exact_for_any_dt(dt):
    total = charge(train(period=5.0, count=3), dt, round(20 / dt))
    assert np.allclose(total, [60.0, 60.0, 0.0, 0.0], rtol=1e-9)


def test_edges_on_a_step_are_clean():
    """Pulses whose edges fall on steps are on for whole steps only: no sliver from rounding."""
    stimulus = train(start=0.3, duration=0.6)
    shares = [stimulus.share(n, 0.1) for n in range(12)]
    assert shares == [0.0] * 3 + [1.0] * 6 + [0.0] * 3


def test_a_late_pulse_of_a_long_train():
    stimulus = train(start=5.0, duration=2.0, period=1000.0, count=10 ** 6)
    n = round((999_999 * 1000.0 + 5.0) / 0.05)
    assert [stimulus.share(n + k, 0.05) for k in (-1, 0, 39, 40)] == pytest.approx([0, 1, 1, 0], abs=1e-5)


def test_trains_add_up_and_end():
    seen = currents([train(nodes=np.array([0, 1])), train(nodes=np.array([2, 1, 2]), start=2.0, duration=5.0)],
                    1.0, 8).tolist()
    assert seen[1] == [10, 10, 0, 0] and seen[2] == [10, 20, 10, 0] and seen[3] == [0, 10, 10, 0]
    assert seen[7] == [0, 0, 0, 0]


@pytest.mark.parametrize("dt", [0.5, 0.3, 0.01])
def test_charge_of_bursts_is_exact(dt):
    """Two bursts of five pulses with falling periods, and two extra stimuli after each."""
    stimulus = train(period=5.0, count=5, decrement=0.7, shortest=3.1, extra=(2.9, 2.3), bursts=2, burst_period=40.3)
    assert np.allclose(charge(stimulus, dt, round(90 / dt)), [14 * 20.0, 14 * 20.0, 0.0, 0.0], rtol=1e-9)
    assert stimulus.fired(90.0) == 14 and stimulus.fired(41.3) == 7 and stimulus.fired(41.31) == 8


@pytest.mark.parametrize("seed", range(5))
def test_the_table_holds_every_change(seed):
    random = np.random.default_rng(seed)
    trains = [train(nodes=random.integers(0, 6, 4), current=random.normal(), start=random.uniform(0, 9),
                    duration=random.choice([0.03, 0.1, 1.7]), period=random.choice([2.0, 3.3]),
                    count=int(random.integers(1, 9)), decrement=random.choice([0.0, 0.05]), shortest=1.9,
                    extra=tuple(random.uniform(1.7, 4, int(random.integers(0, 3))))) for _ in range(4)]
    expected = np.zeros((200, 6))
    for t in trains:
        for n in range(200):
            expected[n, np.unique(t.nodes)] += t.current * t.share(n, 0.1)
    np.testing.assert_allclose(currents(trains, 0.1, 200, 6), expected, atol=1e-12)


def test_a_table_of_nothing():
    assert not currents([], 0.1, 3).any()
    assert not currents([train(start=100.0)], 0.1, 3).any()


def test_places_and_strengths():
    box = Stimulus(box=Box(min=(0.0,), max=(0.2,)), volume_current=1400.0, duration=1.0)
    ball = Stimulus(sphere=Sphere(centre=(1.0,), radius=0.15), current=5.0, duration=1.0, name="ball")
    ends = Stimulus(nodes="xmax", current=5.0, duration=1.0)
    a, b, c = schedule([box, ball, ends], CABLE, 1400.0, 0.1).trains
    assert a.nodes.tolist() == [0, 1, 2] and a.current == pytest.approx(1.0)
    assert b.nodes.tolist() == [9, 10] and b.name == "ball"
    assert c.nodes.tolist() == [10]


def test_notes_of_pulses_that_never_come_and_of_a_period_of_one():
    alone = Stimulus(nodes="xmax", current=5.0, duration=1.0, period=9.0, name="S2")
    paced = Stimulus(nodes="xmax", current=5.0, duration=1.0, period=9.0, count=3)
    assert schedule([alone, paced], CABLE, 1400.0, 0.1).notes(10.0) == [
        "stimulus 'stimulus 2': 1 of 3 pulses start when the run is over",
        "stimulus 'S2': its period does nothing, since count is 1"]


def test_a_stimulus_that_touches_no_node_is_an_error():
    with pytest.raises(CaseError) as error:
        schedule([Stimulus(box=Box(min=(2.0,), max=(3.0,)), current=1.0, duration=1.0, name="corner")], CABLE, 1.0, 0.1)
    assert str(error.value) == ("stimulus.0 (corner): the stimulus touches no node\n"
                                "  -> the mesh spans (0, 0, 0) to (10, 0, 0) mm")


def test_an_unknown_node_set_is_an_error():
    with pytest.raises(MeshError) as error:
        schedule([Stimulus(nodes="xmox", current=1.0, duration=1.0)], CABLE, 1.0, 0.1)
    assert str(error.value) == "stimulus.0.nodes: the mesh has no node set 'xmox'\n  -> did you mean 'xmax'?"


def test_renumbered_trains_reach_the_same_nodes():
    rank = np.array([3, 0, 2, 1])                                # node 0 is at place 3, ...
    stimuli = Stimuli((train(nodes=np.array([0, 1])), train(nodes=np.array([2]), current=5.0)), 0.1)
    moved = stimuli.renumbered(rank)
    assert [t.nodes.tolist() for t in moved.trains] == [[0, 3], [2]]
    assert moved.dt == 0.1 and moved.trains[1].current == 5.0
    assert stimuli.trains[0].nodes.tolist() == [0, 1]


def test_nodes_receive_multiples_of_a_current_in_any_numbering():
    scale = np.array([1.0, 0.5, 2.0])
    pulses = (train(nodes=np.array([0, 1, 3]), scale=scale), train(nodes=np.array([1]), current=3.0))
    assert currents(pulses, 1.0, 3)[1].tolist() == [10.0, 8.0, 0.0, 20.0]
    rank = np.array([3, 0, 2, 1])
    moved = Stimuli(pulses, 1.0).renumbered(rank).trains
    assert moved[0].nodes.tolist() == [0, 1, 3] and moved[0].scale.tolist() == [0.5, 2.0, 1.0]
    assert pulses[0].describe() == "stimulus 's': 3 nodes, 10 uA/cm^2 times 0.5 to 2; 1 pulse of 2 ms at 1 ms"
    assert pulses[1].describe() == "stimulus 's': 1 nodes, 3 uA/cm^2; 1 pulse of 2 ms at 1 ms"

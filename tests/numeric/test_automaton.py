"""A cellular automaton as a membrane model: on a sheet it is, cell by cell and step by step, what its rules say."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import upstroke

N, STEPS = 41, 120      # nodes along an edge of the sheet, steps
RULES = {"n_excited": 2, "n_refractory": 3}
REST = np.zeros((N, N), int)
PERIOD = 6              # steps until a cell that was excited may be so again, one of them at rest

#: sigma dt/(chi C_m dx^2) = 0.2: an excited neighbour is 20 mV
SHEET = {
    "mesh": {"kind": "grid", "size": ["40 mm", "40 mm"], "dx": "1 mm"},
    "tissue": {"surface_to_volume": "140 /mm", "waves": "lumped", "conductivity": {"monodomain": ["2.8 mS/cm"]}},
    "membrane": {"model": "GreenbergHastings", "parameters": RULES},
    "time": {"end": f"{STEPS} ms", "dt": "1 ms", "diffusion": "explicit", "splitting": "godunov"},
    "watch": {"snapshots": {"every": "1 ms", "variables": ["phase"]}},
    "output": {"picture": False},
}
WAVE = {"box": {"min": ["0 mm"], "max": ["0.5 mm"]}, "current": "50 uA/cm^2", "duration": "1 ms"}
BLOCK = {"box": {"min": ["10 mm", "8 mm"], "max": ["22 mm", "20 mm"]}, "current": "50 uA/cm^2", "start": "3 ms",
         "duration": "1 ms"}


def automaton(neighbours: int, start: np.ndarray, stimulus: tuple[int, tuple[slice, slice]] | None = None):
    """Phases after 0, 1, ... STEPS steps by the paper's rules. Cells at an edge see the one inside twice; the first
    step sees no neighbours, as nothing has spread yet."""
    excited, refractory = RULES["n_excited"], RULES["n_refractory"]
    phase, history = start, []
    for step in range(STEPS + 1):
        history.append(phase)
        active = np.pad(np.isin(phase, range(1, excited + 1)), 1, mode="reflect").astype(int)
        count = active[2:, 1:-1] + active[:-2, 1:-1] + active[1:-1, 2:] + active[1:-1, :-2]
        starts = (count >= neighbours) & (step > 0)
        if stimulus and step == stimulus[0]:
            starts[stimulus[1]] = True
        phase = np.where(phase > 0, (phase + 1) % (1 + excited + refractory), starts)
    return np.array(history)


def run(tmp_path, case, **backend):
    """Phases after every step, and the result."""
    result = upstroke.run(case | {"backend": backend}, tmp_path / "out")
    x, y = (np.rint(result.mesh.points[:, i] * 10).astype(int) for i in (0, 1))      # cm to nodes
    phase = np.zeros((STEPS + 1, N, N))
    with h5py.File(tmp_path / "out" / "vm.vtkhdf") as file:
        phase[:, x, y] = np.reshape(file["VTKHDF/PointData/phase"], (STEPS + 1, -1))
    return phase, result


def test_a_plane_wave_moves_by_a_node_in_a_step(tmp_path):
    phase, result = run(tmp_path, SHEET | {"stimulus": WAVE})
    np.testing.assert_array_equal(phase, automaton(1, REST, (0, np.s_[:1, :])))
    assert not phase[N + PERIOD:].any()
    times, x = result.activation.activation[0], result.mesh.points[:, 0]
    assert times[np.isclose(x, 3)] - times[np.isclose(x, 1)] == pytest.approx(20)


@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
def test_the_end_of_a_broken_wave_winds_up_to_a_spiral(tmp_path, precision):
    """It begins as a wave that goes up, in front of a line of refractory cells, and reaches from the left edge to the
    middle."""
    mask = np.ones((N - 1, N - 1), np.int32)
    mask[:20, 20:22], mask[:20, 18:20] = 2, 3
    np.save(tmp_path / "mask.npy", mask)
    wave = {2: {"V": 15, "phase": 1}, 3: {"phase": 3}}
    rules = {"model": "GreenbergHastings", "parameters": RULES}
    case = SHEET | {"mesh": {"kind": "grid", "dx": "1 mm", "mask": str(tmp_path / "mask.npy")},
                    "membrane": [rules, *(rules | {"regions": [tag], "initial": start} for tag, start in wave.items())]}
    start = REST.copy()
    start[:20, 20:22], start[:20, 19] = 1, 3              # what is between two regions belongs to the earlier one
    phase, _ = run(tmp_path, case, precision=precision)
    np.testing.assert_array_equal(phase, automaton(1, start))
    assert phase[-1].any()
    np.testing.assert_array_equal(phase[-1], phase[-1 - PERIOD])                         # it turns once in a period


def test_the_threshold_says_how_many_neighbours_excite(tmp_path):
    """Two: a straight front stops, as each cell before it has one excited neighbour."""
    rules = {"model": "GH", "parameters": RULES | {"V_threshold": -55}}
    phase, _ = run(tmp_path, SHEET | {"stimulus": BLOCK, "membrane": rules})
    np.testing.assert_array_equal(phase, automaton(2, REST, (3, np.s_[10:23, 8:21])))
    assert phase.any(axis=0).sum() == 13 * 13

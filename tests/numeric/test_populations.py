"""Each cell of a network, run with others, is the same cell run alone."""

from copy import deepcopy

import numpy as np
import pytest

import upstroke

CELL = {"kind": "sections", "compartments": {"max_length": "50 um"}, "section": [
    {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
    {"name": "dend", "parent": "soma", "length": "300 um", "diameter": "2 um"},
    {"name": "twig", "parent": "dend", "length": "100 um", "diameter": "1 um"},
    {"name": "leaf", "parent": "dend", "length": "100 um", "diameter": "1 um"}]}
STUB = {"kind": "sections", "section": [{"name": "soma", "type": "soma", "length": "15 um", "diameter": "15 um"}]}
BASE = {
    "cable": {"axial_resistivity": "150 ohm*cm"},
    "membrane": [{"model": "HodgkinHuxley", "regions": ["soma"], "nodal": {"GNa": "gNa"}},
                 {"model": "Passive", "parameters": {"Rm": 20, "V_rest": -65}, "initial": {"V": -65}}],
    "time": {"end": "12 ms", "dt": "0.025 ms", "splitting": "staggered"}, "output": {"picture": False}}
GNA, INPUT = (np.linspace(100.0, 130.0, 21), np.linspace(0.5, 2.0, 21))


def tables(mesh, site, scale, points, extra=None, **time):
    case = deepcopy(BASE) | {"mesh": mesh}
    case["time"] |= time
    case["stimulus"] = [{"site": {"section": "dend", "x": 0.3} | site, "total_current": "0.3 nA", "start": "1 ms",
                         "duration": "8 ms"} | scale]
    case["watch"] = {"probes": {"points": points, "every": "0.025 ms"},
                     "spikes": {"points": {"soma": {"section": "soma"} | site}}}
    return case | (extra or {})


def network(gNa=GNA, scale=INPUT, **time):
    """21 cells: two packs of eight and five, and a second kind of cell."""
    values = {"gNa": list(map(float, gNa)), "input": list(map(float, scale))}
    mesh = {"kind": "network", "population": [
        {"name": "pyr", "count": len(gNa), "cell": CELL, "values": values},
        {"name": "stub", "count": 3, "cell": STUB, "values": {"gNa": 120}}]}
    points = {"soma": {"section": "soma", "population": "pyr"}, "tip": {"section": "leaf", "x": 1, "population": "pyr"}}
    return tables(mesh, {"population": "pyr"}, {"scale": "input"}, points, **time)


def alone(k):
    """Cell k as a population of one."""
    mesh = {"kind": "network", "population": [{"name": "pyr", "count": 1, "cell": CELL, "values": {
        "gNa": float(GNA[k]), "input": float(INPUT[k])}}]}
    return tables(mesh, {}, {"scale": "input"}, {"soma": {"section": "soma"}, "tip": {"section": "leaf", "x": 1}})


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    return upstroke.run(network(), tmp_path_factory.mktemp("network") / "run")


@pytest.mark.parametrize("k", [0, 7, 8, 17, 20])          # of the first pack, the second, and of what is left over
def test_a_cell_of_a_network_is_the_cell_alone(k, together, tmp_path):
    """To the last bit: the same operations in the same order, in whatever lane of a vector."""
    single = upstroke.run(alone(k), tmp_path / "run")
    ours, theirs = together.probes(), single.probes()
    for name in ("soma", "tip"):
        assert np.ptp(theirs[f"{name}[0].V"]) > 1.0
        assert np.array_equal(ours[f"{name}[{k}].V"], theirs[f"{name}[0].V"])
    assert np.array_equal(together.spikes()[f"soma[{k}]"], single.spikes()["soma[0]"])
    mine = together.mesh.tree.cell == k
    for name in single.state.names:                                     # V, Iion, gates, at the end
        assert np.array_equal(together.state.variable(name)[mine], single.state.variable(name), equal_nan=True)


def test_long_cables_are_the_same_to_rounding(tmp_path):
    """Alone, a long piece without branches is solved in eight parts; among like cells, as a lane of a vector."""
    long = {"kind": "sections", "section": [{"name": "dend", "length": "1 mm", "diameter": "2 um",
                                             "compartments": 200}]}
    V = []
    for count in (1, 8):
        mesh = {"kind": "network", "population": [{"name": "a", "count": count, "cell": long}]}
        case = deepcopy(BASE) | {"mesh": mesh, "membrane": [{"model": "HodgkinHuxley"}]}
        case["time"] |= {"end": "4 ms"}
        case["stimulus"] = [{"site": {"section": "dend", "x": 0}, "total_current": "0.5 nA", "duration": "1 ms"}]
        V.append(upstroke.run(case, tmp_path / f"run{count}").state.variable("V").reshape(count, -1))
    assert np.ptp(V[0]) > 10.0 and np.abs(V[1] - V[0]).max() < 1e-11
    assert (V[1] == V[1][0]).all()


def test_a_population_of_one_is_the_cell(tmp_path):
    """The cell as the whole mesh, its numbers those of its sections."""
    cell = deepcopy(CELL)
    cell["section"][0]["values"] = {"gNa": float(GNA[3])}
    case = tables(cell, {}, {"total_current": f"{0.3 * float(INPUT[3])!r} nA"}, {"soma": {"section": "soma"}})
    plain, one = (upstroke.run(c, tmp_path / name) for c, name in ((case, "cell"), (alone(3), "one")))
    assert np.allclose(plain.probes()["soma.V"], one.probes()["soma[0].V"], rtol=0, atol=1e-9)
    assert plain.summary["activated_fraction"] == one.summary["activated_fraction"] == 1.0


def test_threads_do_not_change_a_network(together, tmp_path):
    for threads in (1, 3):
        again = upstroke.run(network() | {"backend": {"threads": threads}}, tmp_path / f"run{threads}")
        assert (tmp_path / f"run{threads}" / "probes.csv").read_bytes() == (
            together.directory / "probes.csv").read_bytes()
        assert (tmp_path / f"run{threads}" / "spikes.csv").read_bytes() == (
            together.directory / "spikes.csv").read_bytes()
        assert np.array_equal(again.state.variable("V"), together.state.variable("V"))


def test_the_map_tells_when_cells_fired(together, tmp_path):
    """In the middle of each soma, and at all nodes of the cell the same."""
    times, tree, probes = together.activation.activation, together.mesh.tree, together.probes()
    for k in range(21):
        V, t = probes[f"soma[{k}].V"], probes["time_ms"]
        up = np.flatnonzero((V[:-1] < -40) & (V[1:] >= -40))
        mine = times[0, tree.cell == k]
        assert (mine == mine[0]).all() or np.isnan(mine).all()
        if len(up):
            j = up[0]
            assert mine[0] == pytest.approx(t[j] + 0.025 * (-40 - V[j]) / (V[j + 1] - V[j]), abs=1e-9)
        else:
            assert np.isnan(mine).all()
    assert np.isfinite(times[0]).any() and np.isnan(times[0, tree.cell > 20]).all()
    case = network()
    case["watch"]["activation"] = {"at": "nodes"}
    everywhere = upstroke.run(case, tmp_path / "run").activation.activation
    assert np.array_equal(everywhere[0, tree.cells], times[0, tree.cells], equal_nan=True)
    assert not np.array_equal(everywhere[0], times[0], equal_nan=True)


def test_a_gpu_finds_the_same(emulated_cupy, tmp_path):
    """Levels of all trees in one, spikes of all sites in one list, currents that differ from cell to cell."""
    case = network(GNA[:11], INPUT[:11], end="7 ms")
    case["watch"]["probes"]["every"] = "1 ms"
    found = [upstroke.run(case | {"backend": {"device": device}}, tmp_path / device) for device in ("cpu", "cuda")]
    spikes = [result.spikes() for result in found]
    assert sum(map(len, spikes[0].values())) >= 3 and spikes[0].keys() == spikes[1].keys()
    for name, times in spikes[0].items():
        assert spikes[1][name] == pytest.approx(times, abs=1e-7)
    assert np.allclose(found[0].state.variable("V"), found[1].state.variable("V"), rtol=0, atol=1e-6)
    assert np.allclose(found[0].activation.activation, found[1].activation.activation, atol=1e-7, equal_nan=True)

"""Purkinje strands in a run: velocity, charge, delays at junctions both ways, block; what the files say of them."""

from __future__ import annotations

import csv
import json
from typing import Any

import meshio
import numpy as np
import pytest

import upstroke
from upstroke import load_case
from upstroke.check import check
from upstroke.run import prepare
from upstroke.view.recording import read_recording
from upstroke.view.shape import Half, fibres_of, shape_of

STRAND = """# vtk DataFile Version 3.0
a strand of 16 mm that ends on the tissue
ASCII
DATASET POLYDATA
POINTS 2 float
-12 4 3  4 4 3
LINES 1 3
2 0 1
"""
SHOCK = {"current": "800 uA/cm^2", "duration": "1 ms"}
AT_ROOT = SHOCK | {"nodes": "purkinje_root"}
AT_SIDE = {"box": {"min": ["0 mm"], "max": ["1 mm"]}, "current": "100 uA/cm^2", "duration": "2 ms"}


def case(folder: Any, **tables: Any) -> dict[str, Any]:
    """A strand that ends on the middle of a slab of 8 x 8 x 3 mm."""
    path = folder / "strand.vtk"
    path.write_text(STRAND)
    base: dict[str, Any] = {
        "mesh": {"kind": "slab", "size": ["8 mm", "8 mm", "3 mm"], "dx": "1 mm", "fibre": [1, 0, 0]},
        "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["1.33 mS/cm", "0.176 mS/cm"]}},
        "purkinje": {"file": str(path), "unit": "mm", "conductivity": "15 mS/cm", "diameter": "0.5 mm",
                     "resistance": "3 kohm", "radius": "0.5 mm"},
        "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "60 ms", "dt": "0.1 ms"}, "stimulus": AT_ROOT,
        "output": {"picture": False}, "backend": {"device": "cpu"}}
    for name, table in tables.items():
        merged = isinstance(table, dict) and name in base and name != "stimulus"
        base[name] = base[name] | table if merged else table
    return base


def times(result: Any) -> tuple[np.ndarray, float, float]:
    """Activation of all nodes, of the strand's end, and of the first of the tissue's nodes there; NaN where none."""
    first, strands = result.activation.activation[0], result.mesh.purkinje
    there = first[strands.junction[:, 1]]
    return first, float(first[strands.ends[0]]), float(np.fmin.reduce(there))


@pytest.mark.parametrize(("sigma", "beta"), [("15 mS/cm", None), ("7.5 mS/cm", "70 /mm")])
def test_a_strand_alone_is_a_cable(tmp_path, sigma, beta):
    own = {"conductivity": sigma, "resistance": "1000 Gohm"} | ({"surface_to_volume": beta} if beta else {})
    exact = {"tolerance": "1e-9 mV"}
    run = upstroke.run(case(tmp_path, purkinje=own, solver=exact), tmp_path / "strand")
    first, strands = times(run)[0], run.mesh.purkinje
    x = run.mesh.points[strands.nodes, 0]
    cable = upstroke.run({
        "mesh": {"kind": "cable", "length": "16 mm", "dx": "0.2 mm", "origin": ["-12 mm", "4 mm", "3 mm"]},
        "tissue": {"surface_to_volume": "140 /mm", "waves": "lumped", "conductivity": {"monodomain": ["15 mS/cm"]}},
        "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "60 ms", "dt": "0.1 ms"}, "solver": exact,
        "stimulus": SHOCK | {"box": {"min": ["-12 mm"], "max": ["-11.99 mm"]}}, "output": {"picture": False}},
        tmp_path / "cable")
    assert np.isnan(first[:run.mesh.n_tissue]).all()
    np.testing.assert_allclose(first[strands.nodes][np.argsort(x)], cable.activation.activation[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("time", [{"diffusion": "explicit", "dt": "0.002 ms"}, {"diffusion": "crank_nicolson"}])
def test_diffusion_keeps_the_charge_of_tissue_and_strands(tmp_path, time):
    setup = prepare(load_case(case(tmp_path, time={"end": "5 ms"} | time, solver={"tolerance": "1e-12 mV"})))
    V, area = setup.state.V, setup.operator.lumped_mass
    V[:] = np.random.default_rng(1).uniform(-80.0, 20.0, len(V))
    start, (stage,) = V.copy(), [s for s in setup.stepper.stages if s.name == "diffusion"]
    for n in range(50):
        stage.run(n)
    assert np.abs(V - start).max() > 40.0 and area @ V == pytest.approx(area @ start, rel=1e-12)


def test_a_junction_delays_more_the_more_it_resists_and_then_blocks(tmp_path):
    delays = []
    for ohm in ("1 kohm", "3 kohm", "10 kohm", "100 kohm"):
        run = upstroke.run(case(tmp_path, purkinje={"resistance": ohm}), tmp_path / ohm)
        _, end, tissue = times(run)
        assert np.isfinite(end)
        delays.append(tissue - end)
    assert delays[:3] == pytest.approx([0.50, 1.54, 3.74], abs=0.05) and np.isnan(delays[3])      # measured


def test_the_wave_also_passes_from_the_tissue_into_the_strand_and_sooner(tmp_path):
    run = upstroke.run(case(tmp_path, stimulus=AT_SIDE), tmp_path / "back")
    forth = upstroke.run(case(tmp_path), tmp_path / "forth")
    (first, end, tissue), (_, forth_end, forth_tissue) = times(run), times(forth)
    assert 0.0 < end - tissue < forth_tissue - forth_end
    root = run.mesh.node_sets["purkinje_root"]
    assert first[root][0] > end + 10.0                            # 16 mm at 1.1 m/s
    rows = list(csv.DictReader((tmp_path / "back" / "junctions.csv").open()))
    assert [row["tree"] for row in rows] == ["purkinje"] and float(rows[0]["resistance_kohm"]) == pytest.approx(3.0)
    assert float(rows[0]["delay_ms"]) == pytest.approx(tissue - end, abs=1e-4)
    summary = json.loads((tmp_path / "back" / "summary.json").read_text())["junctions"]
    assert (summary["count"], summary["strand_first"], summary["tissue_first"]) == (1, 0, 1)


def test_a_smaller_step_changes_little_and_ever_less(tmp_path):
    found = []
    for dt in ("0.1 ms", "0.05 ms", "0.025 ms"):
        _, end, tissue = times(upstroke.run(case(tmp_path, time={"dt": dt}), tmp_path / dt))
        found.append([end, tissue])
    coarse, fine = np.abs(np.diff(found, axis=0))
    assert (fine < 0.65 * coarse).all() and (coarse < 0.3).all()


def test_the_number_of_threads_does_not_matter(tmp_path):
    one, three = (times(upstroke.run(case(tmp_path, backend={"threads": n}), tmp_path / str(n)))[0] for n in (1, 3))
    assert np.array_equal(one, three, equal_nan=True)


def test_a_membrane_of_its_own_and_two_trees(tmp_path):
    """A strand whose membrane does nothing takes current but fires not; its neighbour, of another name, does."""
    trees = [case(tmp_path)["purkinje"] | {"name": name} for name in ("left", "right")]
    tables = case(tmp_path, purkinje=trees, stimulus=SHOCK | {"region": "right"}, membrane=[
        {"model": "MitchellSchaeffer"},
        {"model": "Passive", "parameters": {"V_rest": -80}, "initial": {"V": -80}, "regions": ["left"]}])
    run = upstroke.run(tables, tmp_path / "out")
    first, sets = run.activation.activation[0], run.mesh.node_sets
    assert np.isfinite(first[sets["right"]]).all() and np.isnan(first[sets["left_root"]]).all()


def test_what_check_and_the_files_say_of_a_tree(tmp_path):
    tables = case(tmp_path, time={"end": "4 ms"}, watch={"snapshots": {"every": "2 ms"}})
    text = check(load_case(tables))
    assert ("# Purkinje tree 'purkinje': 81 nodes, 16 mm of strands; junctions: 1, each with 1 to 1 nodes of tissue; "
            "R C is 2.1 to 2.1 ms, the order of the delay where a wave passes\n") in text
    run = upstroke.run(tables, tmp_path / "out")
    grid = meshio.read(tmp_path / "out" / "activation.vtu")
    assert [(block.type, len(block.data)) for block in grid.cells] == [("tetra", 1152), ("line", 80)]
    seen = read_recording(tmp_path / "out")
    assert np.array_equal(seen.mesh.cells, run.mesh.cells) and np.array_equal(seen.mesh.purkinje.lines,
                                                                              run.mesh.purkinje.lines)
    assert seen.mesh.purkinje.diameter == pytest.approx(0.05)
    shape = shape_of(seen)
    assert len(shape.scene.rods) == 80 and len(shape.scene.triangles) > 100
    assert shape.scene.points[shape.scene.rods[:, 0], 0].min() == pytest.approx(-12.0)
    assert len(shape_of(seen, Half.read("x > 0 mm")).scene.rods) == 20
    assert np.isfinite(fibres_of(seen, shape)).all()

"""Several membranes in one mesh, and meshes whose nodes are in no order: the numbering inside is nobody's business."""

import json

import h5py
import meshio
import numpy as np
import pytest

import upstroke
import upstroke.check
from upstroke.case.schema import SlabMesh
from upstroke.errors import DivergenceError, UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.mesh.order import membrane_of_nodes

SIZE, DX = (6.0, 2.0, 2.0), 0.5          # mm
TABLES = {
    "mesh": {"file": "slab.vtu", "unit": "mm", "kind": "file"},
    "tissue": {"surface_to_volume": "140 /mm", "waves": 0.2, "conductivity": {"monodomain": ["1.33 mS/cm"]}},
    "membrane": {"model": "MitchellSchaeffer"},
    "time": {"end": "30 ms", "dt": "0.05 ms"},
    "stimulus": {"box": {"min": ["0 mm"], "max": ["0.5 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"},
    "solver": {"tolerance": "1e-9 mV"},
    "watch": {"probes": {"points": {"near": ["0 mm"], "far": ["6 mm", "2 mm", "2 mm"]}, "every": "1 ms"},
              "snapshots": {"every": "10 ms"}},
    "output": {"picture": False},
}
FAST, SLOW = {"model": "MitchellSchaeffer"}, {"model": "MitchellSchaeffer", "parameters": {"tau_in": "*1.4"}}


def write(folder, number=None):
    """A slab of tetrahedra as a file, region 1 left and 2 right of x = 3 mm, region 3 nowhere; node k is number[k]."""
    mesh = build_mesh(SlabMesh(size=tuple(x / 10 for x in SIZE), dx=DX / 10))
    number = np.arange(mesh.n_points) if number is None else number
    points = np.empty_like(mesh.points)
    points[number] = 10 * mesh.points
    region = 1 + (mesh.points[mesh.cells, 0].mean(axis=1) > 0.3).astype(np.int32)
    meshio.write(folder / "slab.vtu", meshio.Mesh(points, [("tetra", number[mesh.cells])],
                                                  cell_data={"region": [region]}))
    return {"mesh": TABLES["mesh"] | {"file": str(folder / "slab.vtu")}}


@pytest.fixture(scope="module")
def slabs(tmp_path_factory):
    """The slab in order, the slab with its nodes shuffled, and the new number of each node."""
    number = np.random.default_rng(4).permutation(13 * 5 * 5)
    return (write(tmp_path_factory.mktemp("ordered")), write(tmp_path_factory.mktemp("shuffled"), number), number)


def run(folder, mesh, *, overrides=(), **tables):
    return upstroke.run(upstroke.load_case(TABLES | mesh | tables, overrides=overrides), folder)


@pytest.mark.parametrize("precision, within", [("fp64", 1e-6), ("fp32", 0.01), ("mixed", 0.01)])
@pytest.mark.parametrize("membrane", [FAST, [SLOW | {"regions": [2]}, FAST]], ids=["one", "two"])
def test_the_order_of_the_nodes_in_a_file_changes_nothing(tmp_path, slabs, membrane, precision, within):
    ordered, shuffled, number = slabs
    keys = {"membrane": membrane, "backend": {"precision": precision},
            "tissue": TABLES["tissue"] | {"waves": "calibrated"}}
    a, b = run(tmp_path / "a", ordered, **keys), run(tmp_path / "b", shuffled, **keys)
    assert not np.array_equal(number, np.arange(len(number)))
    assert np.isfinite(a.activation.activation).all() and a.activation.beats == 1
    assert np.abs(a.activation.activation[0] - b.activation.activation[0][number]).max() < within
    for name in ("V", "h", "Iion"):
        x, y = a.state.variable(name), b.state.variable(name)[number]
        assert np.abs(x - y).max() < 1e3 * within * max(1e-3, np.abs(x).max() / 100)
    assert a.state.variable("V").dtype == (np.float64 if precision == "fp64" else np.float32)
    for name, column in a.probes().items():
        assert np.abs(column - b.probes()[name]).max() < 100 * within
    grids = [meshio.read(r.directory / "activation.vtu").point_data["activation_ms"] for r in (a, b)]
    assert np.abs(grids[0] - grids[1][number]).max() < max(within, 1e-4)


def test_snapshots_are_in_the_meshs_order(tmp_path, slabs):
    ordered, shuffled, number = slabs
    membrane = [SLOW | {"regions": [2]}, FAST]
    frames = []
    for name, mesh in (("a", ordered), ("b", shuffled)):
        with h5py.File(run(tmp_path / name, mesh, membrane=membrane).directory / "vm.vtkhdf") as file:
            frames.append(np.array(file["VTKHDF/PointData/V"]).reshape(4, -1))
    assert np.ptp(frames[0][1]) > 50                                             # a wave is on its way
    assert np.abs(frames[0] - frames[1][:, number]).max() < 1e-4                 # mV, in fp32


def test_two_tables_that_say_the_same_are_one(tmp_path, slabs):
    one = run(tmp_path / "one", slabs[0], membrane=FAST)
    two = run(tmp_path / "two", slabs[0], membrane=[FAST | {"regions": [2]}, FAST | {"regions": [1]}])
    assert np.abs(one.activation.activation[0] - two.activation.activation[0]).max() < 1e-6
    assert len(two.state.groups) == 2


def test_each_node_does_what_its_membrane_does(tmp_path, slabs):
    """Nodes that hardly conduct, all stimulated: each is a single cell of its own model."""
    apart = {"tissue": TABLES["tissue"] | {"conductivity": {"monodomain": ["1e-12 mS/cm"]}},
             "stimulus": TABLES["stimulus"] | {"box": {"min": ["-1 mm"], "max": ["100 mm"]}}}
    cells = [run(tmp_path / name, {"mesh": {"kind": "cable", "length": "1 mm", "dx": "1 mm"}}, **apart, membrane=table,
                 watch={}).state.variable("V")[0] for name, table in (("fast", FAST), ("slow", SLOW))]
    assert abs(cells[0] - cells[1]) > 0.5
    result = run(tmp_path / "both", slabs[1], **apart, membrane=[FAST | {"regions": [1]}, SLOW | {"regions": [2]}])
    right = result.mesh.points[:, 0] > 0.3 + 1e-9                                # the interface: the earlier table
    left = result.mesh.points[:, 0] < 0.3 - 1e-9
    V = result.state.variable("V")
    assert np.abs(V[left] - cells[0]).max() < 1e-6 and np.abs(V[right] - cells[1]).max() < 1e-6
    middle = V[~left & ~right]
    assert (np.minimum(abs(middle - cells[0]), abs(middle - cells[1])) < 1e-6).all()


def test_a_variable_that_one_membrane_lacks_is_nan_there(tmp_path, slabs):
    watch = {"probes": TABLES["watch"]["probes"] | {"variables": ["V", "h", "W"]},
             "snapshots": {"every": "10 ms", "variables": ["h", "W"]}}
    result = run(tmp_path / "out", slabs[1], watch=watch,
                 membrane=[{"model": "AlievPanfilov", "regions": [2]}, FAST])
    probes = result.probes()
    assert np.isfinite(probes["near.h"]).all() and np.isnan(probes["near.W"]).all()
    assert np.isnan(probes["far.h"]).all() and np.isfinite(probes["far.W"]).all()
    assert np.isfinite(probes["near.V"]).all() and np.isfinite(probes["far.V"]).all()
    assert probes["near.V"][0] == -86.0 and probes["far.V"][0] == -80.0
    h, W = result.state.variable("h"), result.state.variable("W")
    assert np.array_equal(np.isnan(h), np.isfinite(W)) and np.isfinite(h).any() and np.isfinite(W).any()
    x = result.mesh.points[:, 0]
    assert np.isnan(W[x < 0.29]).all() and np.isnan(h[x > 0.31]).all()
    with h5py.File(result.directory / "vm.vtkhdf") as file:
        last = {name: np.array(file[f"VTKHDF/PointData/{name}"])[-len(x):] for name in ("h", "W")}
    assert np.array_equal(np.isnan(last["h"]), np.isnan(h)) and np.array_equal(np.isnan(last["W"]), np.isnan(W))


def test_what_breaks_is_named_by_the_meshs_number(tmp_path, slabs):
    _, shuffled, _ = slabs
    (tmp_path / "wild.model").write_text("V; .external(Vm);\nIion; .external();\nV_init = -80;\nx_init = 1;\n"
                                         "diff_x = x*x*x*50;\nIion = 0.1*(V + 80) + 0*x;\n")
    with pytest.raises(DivergenceError) as error:
        run(tmp_path / "out", shuffled, membrane=[{"model": str(tmp_path / "wild.model"), "regions": [2]}, FAST])
    node = int(str(error.value).split("node ")[1].split(":")[0])
    points = meshio.read(shuffled["mesh"]["file"]).points
    assert points[node, 0] >= 3.0 and "x" in str(error.value)


SCHEMES = [{"splitting": "godunov"}, {"splitting": "unsplit", "diffusion": "explicit"}]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme["splitting"])
def test_the_device_does_the_same(tmp_path, slabs, emulated_cupy, scheme):
    """The text of the CUDA kernels, run on the host: groups, pieces and renumbering on arrays that are not NumPy's."""
    keys = {"membrane": [{"model": "AlievPanfilov", "regions": [2]}, FAST],
            "time": {"end": "3 ms", "dt": "0.05 ms"} | scheme, "tissue": TABLES["tissue"] | {"waves": "lumped"},
            "stimulus": TABLES["stimulus"] | {"box": {"min": ["0 mm"], "max": ["4 mm"]}},
            "watch": {"probes": TABLES["watch"]["probes"] | {"variables": ["V", "W"]},
                      "snapshots": {"every": "1 ms", "variables": ["V", "h"]}}}
    host, device = (run(tmp_path / name, slabs[1], **keys, backend={"device": name}) for name in ("cpu", "cuda"))
    assert json.loads((device.directory / "manifest.json").read_text())["backend"]["device"] == "cuda"
    for name in ("V", "h", "W", "Iion"):
        assert np.allclose(device.state.variable(name), host.state.variable(name), rtol=0, atol=1e-7, equal_nan=True)
    assert np.isfinite(host.activation.activation).any()
    assert np.allclose(device.activation.activation, host.activation.activation, rtol=0, atol=1e-6, equal_nan=True)
    for name, column in host.probes().items():
        assert np.allclose(device.probes()[name], column, rtol=0, atol=1e-6, equal_nan=True)
    with h5py.File(host.directory / "vm.vtkhdf") as a, h5py.File(device.directory / "vm.vtkhdf") as b:
        for name in ("V", "h"):
            assert np.allclose(a[f"VTKHDF/PointData/{name}"], b[f"VTKHDF/PointData/{name}"], rtol=0, atol=1e-4,
                               equal_nan=True)


# ----------------------------------------------------------------------- parameters that differ from node to node
def with_point_data(folder, slab, **data):
    """The slab with numbers at its nodes, functions of x (mm)."""
    mesh = meshio.read(slab["mesh"]["file"])
    mesh.point_data = {name: f(mesh.points[:, 0]) for name, f in data.items()}
    mesh.write(folder / "data.vtu")
    return {"mesh": TABLES["mesh"] | {"file": str(folder / "data.vtu")}}


@pytest.mark.parametrize("precision, within", [("fp64", 1e-9), ("fp32", 1e-3), ("mixed", 1e-3)])
def test_a_nodal_parameter_that_is_the_same_everywhere_is_a_parameter(tmp_path, slabs, precision, within):
    mesh = with_point_data(tmp_path, slabs[1], tau=lambda x: 0 * x + 0.4, rest=lambda x: 0 * x - 90.0)
    keys = {"backend": {"precision": precision}}
    one = run(tmp_path / "one", mesh, **keys, membrane={"model": "MitchellSchaeffer",
                                                        "parameters": {"tau_in": 0.4, "V_min": -90.0}})
    other = run(tmp_path / "other", mesh, **keys, membrane={"model": "MitchellSchaeffer",
                                                            "nodal": {"tau_in": "tau", "V_min": "rest"}})
    assert np.abs(one.activation.activation[0] - other.activation.activation[0]).max() < within
    assert one.probes()["far.V"][0] == other.probes()["far.V"][0] == -90.0      # initial values depend on parameters


def test_each_node_has_its_own_parameter(tmp_path, slabs):
    """Nodes that hardly conduct: each is a single cell with the parameter of its place. Other groups need no values."""
    mesh = with_point_data(tmp_path, slabs[1], tau=lambda x: np.where(x > 3.6, 0.3 + 0.05 * x, np.nan))
    apart = {"tissue": TABLES["tissue"] | {"conductivity": {"monodomain": ["1e-12 mS/cm"]}},
             "stimulus": TABLES["stimulus"] | {"box": {"min": ["-1 mm"], "max": ["100 mm"]}}}
    two = [{"model": "AlievPanfilov", "regions": [1]}, {"model": "MitchellSchaeffer", "nodal": {"tau_in": "tau"}}]
    file = meshio.read(mesh["mesh"]["file"])
    file.cell_data = {"region": [1 + (file.points[file.cells[0].data, 0].min(axis=1) > 3.9)]}   # region 2 from 4 mm on
    file.write(mesh["mesh"]["file"])
    result = run(tmp_path / "out", mesh, **apart, membrane=two)
    x = 10 * result.mesh.points[:, 0]
    for place in (4.5, 5.0, 6.0):
        cell = run(tmp_path / f"cell{place}", {"mesh": {"kind": "cable", "length": "1 mm", "dx": "1 mm"}}, **apart,
                   watch={}, membrane={"model": "MitchellSchaeffer", "parameters": {"tau_in": 0.3 + 0.05 * place}})
        here = np.abs(x - place) < 1e-6
        assert here.sum() == 25
        assert np.abs(result.state.variable("V")[here] - cell.state.variable("V")[0]).max() < 1e-6


def test_nodal_parameters_by_expression_of_coordinates_and_of_point_data(tmp_path, slabs):
    """A gradient across a slab, and one of a file's own transmural coordinate."""
    mesh = with_point_data(tmp_path, slabs[1], tau=lambda x: 0.3 + 0.05 * x)
    apart = {"watch": {}, "time": {"end": "1 ms", "dt": "0.05 ms"}}
    model = {"model": "MitchellSchaeffer"}
    from_file = run(tmp_path / "file", mesh, membrane=model | {"nodal": {"tau_in": "tau"}}, **apart)
    for name, text in (("x", "0.3 + 0.05 * x / (1 mm)"), ("data", "tau if tau < 0.4 else max(tau, 0.1 + y / (1 km))")):
        found = run(tmp_path / name, mesh, membrane=model | {"nodal": {"tau_in": text}}, **apart)
        assert np.allclose(found.state.variable("V"), from_file.state.variable("V"), rtol=0, atol=1e-12)
    assert np.ptp(from_file.state.variable("V")) > 1


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme["splitting"])
def test_nodal_parameters_on_the_device(tmp_path, slabs, emulated_cupy, scheme):
    mesh = with_point_data(tmp_path, slabs[1], tau=lambda x: 0.3 + 0.05 * x)
    keys = {"membrane": {"model": "MitchellSchaeffer", "nodal": {"tau_in": "tau"}}, "watch": {},
            "time": {"end": "2 ms", "dt": "0.05 ms"} | scheme, "tissue": TABLES["tissue"] | {"waves": "lumped"}}
    host, device = (run(tmp_path / name, mesh, **keys, backend={"device": name}) for name in ("cpu", "cuda"))
    assert np.abs(host.state.variable("V") - device.state.variable("V")).max() < 1e-7
    assert np.ptp(host.state.variable("V")) > 20
    text = upstroke.check.check(upstroke.load_case(TABLES | mesh | keys))
    assert "# membrane: MitchellSchaeffer, 2 states a node, tau_in 0.3 to 0.6\n" in text


def test_mistakes_in_nodal_parameters(tmp_path, slabs):
    mesh = with_point_data(tmp_path, slabs[1], tau=lambda x: np.where(x > 3.0, 0.3, np.nan))
    model = {"model": "MitchellSchaeffer"}
    assert message(mesh, membrane=model | {"nodal": {"tau_in": "tua"}}) == (
        "case: membrane.0.nodal.tau_in: the mesh has no point data 'tua'\n  -> did you mean 'tau'?")
    assert message({"mesh": {"kind": "cable", "length": "1 mm", "dx": "0.1 mm"}},
                   membrane=model | {"nodal": {"tau_in": "tau"}}) == (
        "case: membrane.0.nodal.tau_in: the mesh has no point data 'tau'\n  -> mesh files have point data, one "
        "number per node, and sections of a neuron values; or give an expression, such as "
        "'0.1 + 0.3 * x / (100 um)'")
    broken = np.flatnonzero(meshio.read(mesh["mesh"]["file"]).points[:, 0] <= 3.0)
    assert message(mesh, membrane=model | {"nodal": {"tau_in": "tau"}}) == (
        f"case: membrane.0.nodal.tau_in: the point data 'tau' have no value at {len(broken)} of the 325 nodes of this "
        f"membrane (the first is node {broken[0]})\n  -> write them for all nodes of its regions")
    assert message(mesh, membrane=model | {"nodal": {"tau_inn": "tau"}}) == (
        "case: membrane: model MitchellSchaeffer: no parameter 'tau_inn'\n  -> did you mean 'tau_in'?")


# ------------------------------------------------------------------------------------------------- mistakes
def message(mesh, **tables):
    with pytest.raises(UpstrokeError) as error:
        upstroke.prepare(upstroke.load_case(TABLES | mesh | tables))
    return str(error.value)


def test_mistakes_have_the_place_of_their_table(slabs, tmp_path):
    (tmp_path / "case.toml").write_text(f"""
[mesh]
kind = "file"
file = "{slabs[0]['mesh']['file']}"
unit = "mm"
[tissue]
surface_to_volume = "140 /mm"
conductivity.monodomain = ["1 mS/cm"]
[time]
end = "1 ms"
dt = "0.1 ms"
[[membrane]]
model = "MitchellSchaeffer"
[[membrane]]
model = "MitchellSchaeffer"
parameters = {{ tau_inn = 0.3 }}
regions = [2]
""")
    with pytest.raises(UpstrokeError) as error:
        upstroke.prepare(upstroke.load_case(tmp_path / "case.toml"))
    assert str(error.value).endswith("case.toml:14: membrane.1: model MitchellSchaeffer: no parameter 'tau_inn'\n"
                                     "  -> did you mean 'tau_in'?")
    with pytest.raises(UpstrokeError) as error:
        upstroke.prepare(upstroke.load_case(tmp_path / "case.toml", overrides=[
            "membrane.1.regions=[7]", "membrane.1.parameters={}"]))
    assert str(error.value) == ("--set membrane.1.regions=[7]: membrane.1.regions: no cell of the mesh is in region 7\n"
                                "  -> tags in use: 1, 2")


def test_regions_need_a_membrane(slabs):
    assert message(slabs[0], membrane=[FAST | {"regions": [1]}]) == (
        "case: membrane: regions [2] have no membrane (576 cells)\n"
        "  -> add a [[membrane]] table for them, or one without 'regions' for all others")


def test_notes_look_at_all_membranes(slabs):
    """Of second order is only what is so everywhere."""
    case = upstroke.load_case(TABLES | slabs[0] | {
        "membrane": [FAST | {"method": "rk2", "regions": [1]}, SLOW | {"method": {"V": "rk2", "h": "fe"}}],
        "time": TABLES["time"] | {"splitting": "strang"}})
    assert upstroke.prepare(case).notes == (
        "splitting 'strang' is of order 2, but the run is of order 1: h are integrated by methods of order 1 "
        '(membrane.method = "rk2" is of order 2)',)


def test_check_lists_the_membranes(slabs):
    case = upstroke.load_case(TABLES | slabs[0] | {"membrane": [{"model": "AlievPanfilov", "regions": [2]}, FAST]})
    text = upstroke.check.check(case)
    first, second = (int((owner == k).sum()) for owner in [owners(case)] for k in (0, 1))
    assert first + second == 325 and 150 < first < 175                   # 150 nodes right of the interface, 25 on it
    assert '[[membrane]]\nmodel = "AlievPanfilov"' in text and "regions = [2]" in text
    assert f"# membrane.0: AlievPanfilov, 2 states a node, {first} nodes\n" in text
    assert f"# membrane.1: MitchellSchaeffer, 2 states a node, {second} nodes\n" in text


def test_check_tries_the_device(slabs, emulated_cupy, monkeypatch):
    monkeypatch.setitem(upstroke.check.TRIAL_NODES, "cuda", 64)
    monkeypatch.setattr("upstroke.check.TRIAL_SECONDS", 0.01)
    text = upstroke.check.check(upstroke.load_case(TABLES | slabs[0] | {"backend": {"device": "cuda"}}))
    name = emulated_cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    assert f" s on the {name} (from a trial of the membrane kernel on this machine" in text


def owners(case):
    return membrane_of_nodes(build_mesh(case.mesh), [table.regions for table in case.membrane])

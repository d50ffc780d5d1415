import pickle
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upstroke.case import Case, load_case, located, resolved, to_toml
from upstroke.case.schema import Box, CableMesh, FileMesh, SlabMesh
from upstroke.errors import ErrorList, MeshError, Place

BASE = """\
[mesh]
kind = "slab"
size = ["20 mm", "7 mm", "3 mm"]
dx = "0.5 mm"

[tissue]
surface_to_volume = "140 /mm"
conductivity.intracellular = ["0.17 S/m", "0.019 S/m"]
conductivity.extracellular = ["0.62 S/m", "0.24 S/m"]

[membrane]
model = "TT2"
parameters = { GNa = "-62%", GK1 = 1 }

[time]
end = "40 ms"
dt = "0.05 ms"

[[stimulus]]
box = { min = ["0 mm"], max = ["1.5 mm"] }
current = "35.7 uA/cm^2"
duration = "2 ms"

[[stimulus]]
sphere = { centre = ["0 mm"], radius = "1 mm" }
volume_current = "50 mA/cm^3"
duration = "2 ms"
period = "0.3 s"
count = 2
"""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good case, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "case.toml").write_text(BASE)
    return Path("case.toml")


def test_quantities_arrive_in_internal_units(base: Path) -> None:
    case = load_case(base)
    assert isinstance(case.mesh, SlabMesh)
    assert case.mesh.size == (2.0, 0.7, 0.3)
    assert case.mesh.dx == 0.05
    assert case.tissue.surface_to_volume == 1400.0
    assert case.tissue.conductivity[0].intracellular == (1.7, 0.19)
    assert case.membrane[0].parameters == {"GNa": "-62%", "GK1": 1.0}
    assert case.stimulus[0].box == Box(min=(0.0,), max=(0.15,))
    assert case.stimulus[1].volume_current == 50000.0
    assert case.stimulus[1].period == 300.0
    assert case.time.diffusion == "crank_nicolson"


def test_a_folder_stands_for_its_case(base: Path) -> None:
    assert load_case(".") == load_case(base) == load_case(Path.cwd()) == load_case(tomllib.loads(BASE))


def test_dictionaries_may_hold_tuples_none_and_numpy(base: Path) -> None:
    tables: dict[str, Any] = tomllib.loads(BASE)
    tables["mesh"] |= {"fibre": np.array([0.0, 1.0, 0.0]), "size": ("20 mm", "7 mm", "3 mm"), "sheet": None}
    tables["membrane"]["initial"] = {"V": np.float64(-80.0)}
    tables["time"]["reaction_steps"] = np.int64(2)
    case = load_case(tables)
    assert isinstance(case.mesh, SlabMesh)
    assert case.mesh.fibre == (0.0, 1.0, 0.0)
    assert case.membrane[0].initial == {"V": -80.0}
    assert case.time.reaction_steps == 2


def test_where_each_key_came_from(base: Path) -> None:
    Path("fine.toml").write_text('\ntime.dt = "0.01 ms"\n')
    case = load_case(base, "fine.toml", overrides=["mesh.dx=0.2 mm"])
    assert case.where("") == Place("case.toml")
    assert case.where("mesh") == Place("case.toml", 1)
    assert case.where("mesh.size.1") == Place("case.toml", 3)
    assert case.where("mesh.dx") == Place("--set mesh.dx=0.2 mm")
    assert case.where("time.dt") == Place("fine.toml", 2)
    assert case.where("time.splitting") == Place("case.toml", 15)     # a default: its table
    assert case.where("watch.activation") == Place("case.toml")
    assert case.where("stimulus.1.sphere.radius") == Place("case.toml", 25)


def test_neurons_are_staggered_where_nothing_else_is_asked_for() -> None:
    neuron = {"mesh": {"kind": "sections", "section": {"name": "soma", "length": "20 um", "diameter": "20 um"}},
              "cable": {"axial_resistivity": "100 ohm*cm"}, "membrane": {"model": "Passive"},
              "time": {"end": "1 ms", "dt": "0.1 ms"}}
    assert load_case(neuron).time.splitting == "staggered"
    assert load_case(neuron, overrides=["time.splitting=godunov"]).time.splitting == "godunov"
    assert load_case(neuron, {"time": {"splitting": "implicit"}}).time.splitting == "implicit"
    assert neuron["time"] == {"end": "1 ms", "dt": "0.1 ms"}
    assert 'splitting = "staggered"' in to_toml(load_case(neuron))
    with pytest.raises(ErrorList, match="time: missing"):
        load_case({name: table for name, table in neuron.items() if name != "time"})


# ----------------------------------------------------------------------------------------------- merging
def test_tables_merge_and_arrays_are_replaced(base: Path) -> None:
    Path("over.toml").write_text('[time]\ndt = "0.02 ms"\n[membrane.parameters]\nGNa = 2\n'
                                 '[[stimulus]]\nnodes = "apex"\ncurrent = "1 uA/cm^2"\nduration = "1 ms"\n')
    case = load_case(base, "over.toml", {"title": "third"})
    assert (case.time.end, case.time.dt) == (40.0, 0.02)
    assert case.membrane[0].parameters == {"GNa": 2.0, "GK1": 1.0}
    assert [s.nodes for s in case.stimulus] == ["apex"]
    assert case.title == "third"


def test_a_table_of_another_kind_is_replaced(base: Path) -> None:
    case = load_case(base, {"mesh": {"kind": "cable", "length": "1 cm", "dx": "0.1 mm"}})
    assert case.mesh == CableMesh(length=1.0, dx=0.01)


# --------------------------------------------------------------------------------------------- overrides
@pytest.mark.parametrize(("override", "change"), [
    ("time.dt=0.01 ms", {"time": {"dt": "0.01 ms"}}),                                  # text that is no TOML
    ('time.dt = "0.01 ms"', {"time": {"dt": "0.01 ms"}}),                              # TOML
    ("mesh.size=['1 cm', '1 cm', '1 cm']", {"mesh": {"size": ["1 cm"] * 3}}),
    ("mesh.size.2=1 cm", {"mesh": {"size": ["20 mm", "7 mm", "1 cm"]}}),
    ("time.reaction_steps=3", {"time": {"reaction_steps": 3}}),
    ("output.picture=false", {"output": {"picture": False}}),                          # a table not there yet
    ("membrane.parameters.GKr=*0.5", {"membrane": {"parameters": {"GKr": "*0.5"}}}),
    ("membrane.0.parameters.GKr=*0.5", {"membrane": {"parameters": {"GKr": "*0.5"}}}),  # one table, as an array of one
    ('membrane.initial."V"=-80', {"membrane": {"initial": {"V": -80}}}),
    ("title=a=b", {"title": "a=b"}),
    ("tissue.conductivity.intracellular.0=1 S/m",
     {"tissue": {"conductivity": {"intracellular": ["1 S/m", "0.019 S/m"]}}}),
    ("tissue.conductivity.0.intracellular.0=1 S/m",                                    # one table, as an array of one
     {"tissue": {"conductivity": {"intracellular": ["1 S/m", "0.019 S/m"]}}}),
])
def test_override(override: str, change: dict[str, Any], base: Path) -> None:
    assert load_case(base, overrides=[override]) == load_case(base, change)


def test_overrides_index_arrays_of_tables_and_the_last_wins(base: Path) -> None:
    case = load_case(base, overrides=['stimulus.1.start="5 ms"', "stimulus.1.start=7 ms"])
    assert [s.start for s in case.stimulus] == [0.0, 7.0]


# ------------------------------------------------------------------------------------------------- files
def test_files_are_relative_to_the_file_that_names_them(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hearts"
    folder.mkdir()
    for name in ("heart.vtu", "apex.vtx", "my.model"):
        (folder / name).write_text("")
    (folder / "mesh.toml").write_text('[mesh]\nkind = "file"\nfile = "heart.vtu"\nunit = "um"\n'
                                      'node_sets = { apex = "../hearts/apex.vtx" }\n[membrane]\nmodel = "my.model"\n')
    case = load_case(base, "hearts/mesh.toml")
    assert case.mesh == FileMesh(file=folder / "heart.vtu", unit="um", node_sets={"apex": folder / "apex.vtx"})
    assert case.membrane[0].model == str(folder / "my.model")
    again = load_case(case_tables := resolved(case), overrides=["mesh.file=hearts/heart.vtu"])
    assert again == case == load_case(case_tables)


# ---------------------------------------------------------------------------------------------- resolved
FULL = {
    "title": 'all "keys" of \\ the file é',
    "tissue": {"waves": 0.75, "capacitance": "0.011 uF/mm^2",
               "conductivity": [{"monodomain": ["1.33 mS/cm"], "regions": [1, "scar"]}, {"monodomain": ["3 mS/cm"]}]},
    "membrane": {"flags": ["EPI"], "initial": {"V": -85.23}, "method": {"V": "rk2"}},
    "solver": {"tolerance": "1e-7 mV", "max_iterations": 20},
    "watch": {"probes": {"points": {"P1": ["0.1 mm"], "a point": ["1 um", "2 mm", "0.3333333333333333 mm"]},
                         "every": "0.1 ms", "variables": ["V", "m"], "interpolate": True},
              "snapshots": {"every": "1 ms", "regions": [1]}},
    "backend": {"threads": 2, "precision": "fp32"},
    "output": {"picture": False},
}


LAYERS = {"membrane": [{"model": "TT2", "flags": ["ENDO"], "regions": [1, "endo"], "parameters": {"GKs": "*2"}},
                       {"model": "TT2", "initial": {"V": -85.0}}],
          "backend": {"device": "cuda", "precision": "mixed"}}


@pytest.mark.parametrize("extra", [{}, FULL, LAYERS], ids=["base", "full", "layers"])
def test_resolved_round_trip(extra: dict[str, Any], base: Path) -> None:
    case = load_case(base, extra)
    assert load_case(resolved(case)) == case
    assert load_case(tomllib.loads(to_toml(case))) == case
    assert to_toml(load_case(resolved(case))) == to_toml(case)


def test_several_membranes(base: Path) -> None:
    case = load_case(base, LAYERS, overrides=["membrane.1.initial.V=-86"])
    assert [table.regions for table in case.membrane] == [(1, "endo"), None]
    assert case.membrane[1].initial == {"V": -86.0}
    one = load_case(base, LAYERS, {"membrane": {"model": "MS"}})           # a table in the place of an array
    assert [table.model for table in one.membrane] == ["MS"]


def test_resolved_names_every_key_with_its_unit(base: Path) -> None:
    text = to_toml(load_case(base))
    for line in ('size = ["2 cm", "0.7 cm", "0.3 cm"]', 'surface_to_volume = "1400 1/cm"', 'dt = "0.05 ms"',
                 'splitting = "godunov"', "[watch.activation]", 'threshold = "-40 mV"', 'device = "auto"',
                 "[[stimulus]]", "[stimulus.box]", 'current = "35.7 uA/cm^2"', "threads = 0", "picture = true"):
        assert line in text.splitlines()


def test_cases_can_be_sent_to_other_processes(base: Path) -> None:
    case = load_case(base)
    again = pickle.loads(pickle.dumps(case))
    assert isinstance(again, Case)
    assert again == case
    assert again.where("time.dt") == case.where("time.dt")


@pytest.mark.parametrize(("where", "expected"), [
    ("stimulus.1 (S2)", "case.toml:24: stimulus.1 (S2): touches no node\n  -> move it"),
    ("time.dt", "case.toml:17: time.dt: touches no node\n  -> move it"),
    ("watch.probes.points.P 1", "case.toml: watch.probes.points.P 1: touches no node\n  -> move it"),
    ("heart.vtu", "heart.vtu: touches no node\n  -> move it"),
    ("", "touches no node\n  -> move it"),
    (Place("my.model", 3, 2), "my.model:3:2: touches no node\n  -> move it"),
])
def test_errors_of_the_rooms_are_located(where: Any, expected: str, base: Path) -> None:
    case = load_case(base)
    with pytest.raises(MeshError) as caught, located(case):
        raise MeshError(where, "touches no node", "move it")
    assert str(caught.value) == expected

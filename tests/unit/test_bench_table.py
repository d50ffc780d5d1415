"""Rows of results over time: openCARP's table, binary files and trace, and the table of a run directory."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from upstroke.bench.cells import Record
from upstroke.bench.parts import parts, shared
from upstroke.bench.table import HEADING, Columns, Tables, dumped, table_columns, units
from upstroke.errors import OptionError, OutputError
from upstroke.ionic import Model, initial_state, load_model, quantities, read_model

LAND = "Stress_Land17"
TOY = """V_init = -80; g = 2; .param(); m_inf = 0.5; tau_m = 1; Ca_i_init = 1e-4; diff_Ca_i = -Ca_i; Ca_i; .external();
INa = g*m*(V - 1); .trace(); K_e; .external(); Iion = INa + K_e;"""


@pytest.fixture(scope="module")
def toy() -> Model:
    return read_model(TOY, "toy")


@pytest.fixture(scope="module")
def land() -> Model:
    return load_model("TT2", plugins=[LAND])


def record(names: tuple[str, ...], first: int, rows: int, cells: int = 1) -> Record:
    """Numbers that tell which quantity, row and cell they are of."""
    step = np.arange(first, first + rows)
    grid = np.add.outer(step, 0.25 * np.arange(cells))
    return Record(step * 0.5, {name: grid + 100 * k for k, name in enumerate(names)})


def write(tables: Tables, chunks: int = 2, rows: int = 2, cells: int = 1) -> list[Record]:
    records = [record(tables.needs, c * rows, rows, cells) for c in range(chunks)]
    with tables:
        for r in records:
            tables.write(r)
    return records


# -------------------------------------------------------------------------------------------------------- quantities
def test_shared_quantities_are_those_in_use(land: Model, toy: Model) -> None:
    assert shared(load_model("TT2")) == {}
    assert shared(land) == {"Lambda": "Lambda", "delLambda": "delLambda", "Tension": "Tension", "Ca_i": "Cai"}
    assert shared(load_model("TT2", plugins=["I_KATP"])) == {"K_e": "Ko", "K_i": "Ki", "Na_i": "Nai"}
    assert list(table_columns(toy)) == ["Vm", "Iion", "Ke", "Cai"]
    assert [part.name for part in parts(land)] == ["tenTusscherPanfilov", LAND]


def test_columns_are_recorded_constant_or_computed(toy: Model) -> None:
    columns = Columns(toy, ("INa", "Iion", "g", "m"), 0.01, {"g": np.array([3.0, 4.0])})
    assert columns.needs == ("V", "m", "Ca_i", "Iion")
    rows = record(columns.needs, 0, 3, cells=2)
    V, m = rows.values["V"], rows.values["m"]
    table = columns.of(rows)
    assert table.shape == (3, 2, 4)
    assert np.array_equal(table[..., 0], [3.0, 4.0]*m*(V - 1))
    assert np.array_equal(table[..., 1], rows.values["Iion"])           # that of the step before, as it is recorded
    assert np.array_equal(table[..., 2], [[3.0, 4.0]] * 3) and np.array_equal(table[..., 3], m)
    assert Columns(toy, ("g",), 0.01).needs == ("V",)


def test_a_parameter_that_is_driven_counts_as_it_was(toy: Model) -> None:
    columns = Columns(toy, ("INa", "g"), 0.01, driven=("g",))
    rows = record(columns.needs, 0, 3)
    assert set(columns.needs) == {"V", "m", "Ca_i", "g"}
    computed, g = columns.of(rows)[:, 0].T
    assert np.array_equal(g, rows.values["g"][:, 0])
    assert np.array_equal(computed[:, None], g[:, None]*rows.values["m"]*(rows.values["V"] - 1))


def test_computed_as_the_model_says(land: Model) -> None:
    """Rows at rest of a real model: each definition is that of the interpreter."""
    state = initial_state(land)
    columns = Columns(land, ("INa", f"{LAND}.T_a", "ICaL"), 0.01)
    rows = Record(np.zeros(1), {name: np.array([[state[name]]]) for name in columns.needs})
    expected = quantities(land, state["V"], state)
    assert columns.of(rows)[0, 0].tolist() == [expected[name] for name in columns.names]


def test_units_of_columns(land: Model) -> None:
    assert units(land, ("V", "Iion", "Cai", "Tension", "Lambda", "M")) == {
        "V": "mV", "Iion": "uA/cm^2", "Cai": "mM", "Tension": "kPa", "Lambda": "unitless", "M": ""}


def test_lists_of_what_to_dump(land: Model) -> None:
    assert dumped(land, ["Nai", "Xr1", "INa", "Tension", "Na_i"], "TRPN,T_a") == (
        "Nai", "Xr1", "INa", "Tension", f"{LAND}.TRPN", f"{LAND}.T_a")
    assert dumped(land, []) == ()


@pytest.mark.parametrize(("imp", "plugins", "message"), [
    (["Xr3"], "", "-u/--imp-sv-dump: tenTusscherPanfilov has no state or current 'Xr3'\n  -> did you mean 'Xr2'?"),
    ([], "TRPM", "-g/--plug-sv-dump: Stress_Land17 has no state or current 'TRPM'\n  -> did you mean 'TRPN'?"),
    ([], "TRPN:y", "-g/--plug-sv-dump: 2 lists for 1 plug-in\n  -> separate lists by ':', names by ','"),
])
def test_lists_of_what_is_not_there(land: Model, imp: list[str], plugins: str, message: str) -> None:
    with pytest.raises(OptionError) as error:
        dumped(land, imp, plugins)
    assert str(error.value) == message


# ---------------------------------------------------------------------------------------------------- openCARP's files
def test_the_table_of_the_manual() -> None:
    """Numbers to their printed digits; time is right-aligned in ten columns, titles end where numbers do."""
    model, out, heading = load_model("TT2"), io.StringIO(), io.StringIO()
    with Tables(model, 0.01, table=out, heading=heading) as tables:
        assert tables.needs == ("V", "Iion")
        tables.write(Record(np.array([0.0, 1.0]), {"V": np.array([[-86.2], [-86.1618521]]),
                                                   "Iion": np.array([[0.0], [-0.0346181728]])}))
    assert heading.getvalue() == HEADING + "\n      Time              Vm            Iion\n\n"
    assert out.getvalue() == ("     0.000 -8.62000000e+01 +0.00000000e+00\n"
                              "     1.000 -8.61618521e+01 -3.46181728e-02\n")


def test_shared_quantities_in_the_table(tmp_path: Path, toy: Model) -> None:
    heading = io.StringIO()
    write(Tables(toy, 0.01, parameters={"K_e": np.array([7.0])}, table=tmp_path / "AP.txt", heading=heading))
    assert heading.getvalue().splitlines()[1].split() == ["Time", "Vm", "Iion", "Ke", "Cai"]
    assert np.array_equal(np.loadtxt(tmp_path / "AP.txt"), [     # calcium in uM
        [0.0, 0, 100, 7, 200e3], [0.5, 1, 101, 7, 201e3], [1.0, 2, 102, 7, 202e3], [1.5, 3, 103, 7, 203e3]])


def test_binary_files(tmp_path: Path, land: Model) -> None:
    tables = Tables(land, 0.01, binary=tmp_path / "X", dumps=dumped(land, ["Cai", "Tension", "INa"], "TRPN"))
    records = write(tables)
    names = [".t.bin", ".Vm.bin", ".Iion.bin", "_tenTusscherPanfilov.Cai.bin", "_tenTusscherPanfilov.Tension.bin",
             "_tenTusscherPanfilov.INa.bin", f"_{LAND}.TRPN.bin"]
    assert (tmp_path / "X_header.txt").read_text().splitlines() == ["0", *(f"X{n} double 8 4" for n in names)]
    assert {p.name for p in tmp_path.iterdir()} == {"X_header.txt", *(f"X{n}" for n in names)}
    for end, name, factor in ((".Vm.bin", "V", 1), (names[3], "Cai", 1000), (names[6], f"{LAND}.TRPN", 1)):
        expected = np.concatenate([r.values[name][:, 0] for r in records]) * factor
        assert np.array_equal(np.fromfile(tmp_path / f"X{end}", "<f8"), expected)
    assert np.fromfile(tmp_path / "X.t.bin", "<f8").tolist() == [0, 0.5, 1, 1.5]


def test_validate_takes_every_state(tmp_path: Path, toy: Model) -> None:
    write(Tables(toy, 0.01, binary=tmp_path / "X", every_state=True))
    assert {p.name for p in tmp_path.iterdir()} == {"X_header.txt", "X.t.bin", "X.Vm.bin", "X.Iion.bin", "X_toy.m.bin",
                                                   "X_toy.Ca_i.bin"}


def test_the_trace(tmp_path: Path, toy: Model) -> None:
    records = write(Tables(toy, 0.01, trace=tmp_path, number=3))
    assert (tmp_path / "toy_trace_header.txt").read_text() == "INa\n"
    time, INa = np.loadtxt(tmp_path / "Trace_3.dat").T
    V, m = (np.concatenate([r.values[n][:, 0] for r in records]) for n in ("V", "m"))
    assert time.tolist() == [0, 0.5, 1, 1.5] and INa == pytest.approx(2*m*(V - 1), rel=1e-8)
    write(Tables(read_model("V_init = 0; Iion = V;"), 0.01, trace=tmp_path, number=4))
    assert not (tmp_path / "Trace_4.dat").exists()                       # nothing to trace


# ------------------------------------------------------------------------------------------------------- run directory
def test_the_table_of_a_run(tmp_path: Path, toy: Model) -> None:
    tables = Tables(toy, 0.01, folder=tmp_path, dumps=["g"])
    assert tables.columns == ("V", "Iion", "m", "Ca_i", "INa", "g")
    write(tables)
    with (tmp_path / "trace.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["time_ms", "V", "Iion", "m", "Ca_i", "INa", "g"]
    assert [float(x) for x in rows[1]] == [0.5, 1, 301, 101, 201, 0, 2] and len(rows) == 4


def test_several_cells_are_rows_of_their_own(tmp_path: Path, toy: Model) -> None:
    write(Tables(toy, 0.01, folder=tmp_path, cells=2), cells=3)
    table = np.genfromtxt(tmp_path / "trace.csv", delimiter=",", names=True)
    assert table["time_ms"].tolist() == [0, 0, 0.5, 0.5, 1, 1, 1.5, 1.5]
    assert table["cell"].tolist() == [0, 1] * 4 and table["V"].tolist() == [0, 0.25, 1, 1.25, 2, 2.25, 3, 3.25]


@pytest.mark.parametrize("cells", [1, 2])
def test_many_values_become_an_array(tmp_path: Path, toy: Model, cells: int) -> None:
    many = Tables(toy, 0.01, folder=tmp_path, rows=1_000_000, cells=cells)
    few = Tables(toy, 0.01, folder=tmp_path, rows=1000, cells=cells)
    write(many, rows=50, cells=2)
    write(few, rows=50, cells=2)
    array = np.load(tmp_path / "trace.npy", mmap_mode="r")
    text = np.genfromtxt(tmp_path / "trace.csv", delimiter=",", names=True)
    assert array.dtype.names == text.dtype.names and len(array) == 100 * cells
    assert all(np.allclose(array[name], text[name], rtol=1e-11) for name in array.dtype.names)


def test_what_was_written_is_whole_before_the_end(tmp_path: Path, toy: Model) -> None:
    """As if the run were killed after its first chunk: nothing is closed."""
    out = tmp_path / "AP.txt"
    runs = [Tables(toy, 0.01, folder=tmp_path, table=out, heading=io.StringIO(), binary=tmp_path / "X", trace=tmp_path),
            Tables(toy, 0.01, folder=tmp_path, rows=10**6)]
    for tables in runs:
        tables.write(record(tables.needs, 0, 3))
        tables.write(record(tables.needs, 3, 0))                          # no rows: nothing happens
    assert np.loadtxt(out).shape == (3, 5) and np.loadtxt(tmp_path / "Trace_0.dat").shape == (3, 2)
    assert len(np.genfromtxt(tmp_path / "trace.csv", delimiter=",", names=True)) == 3
    assert len(np.load(tmp_path / "trace.npy")) == 3 and len(np.fromfile(tmp_path / "X.Vm.bin")) == 3
    assert (tmp_path / "X_header.txt").read_text().splitlines()[1] == "X.t.bin double 8 3"
    for tables in runs:
        tables.__exit__()


def test_a_file_that_cannot_be_written(toy: Model, tmp_path: Path) -> None:
    with pytest.raises(OutputError) as error:
        Tables(toy, 0.01, table=tmp_path / "none" / "AP.txt", heading=io.StringIO())
    assert str(error.value) == (f"{tmp_path}/none/AP.txt: cannot be written: No such file or directory\n"
                                "  -> check the free space and the rights of the folder, or write elsewhere")

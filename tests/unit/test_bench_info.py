"""What ``upstroke bench`` tells of models: lists, parameters and states, what plug-ins change, tables."""

import numpy as np
import pytest

from upstroke.bench.info import imp_info, info, list_imps, plugin_outputs, tables
from upstroke.bench.options import parse
from upstroke.ionic import load_model, load_plugin, read_model, shipped_models, shipped_plugins
from upstroke.ionic.evaluate import quantities

TOY = """
// Title: A cell
// Authors: A. Nobody
V; .external(Vm);
Iion; .external();
kind; .flag(A, B);
group { g = (kind == A) ? 0.5 : 0.25; E = -80; } .param();
Ca; .lookup(0, 1, 0.25);
Ca_init = 0.5; diff_Ca = -sat*Ca;
sat = Ca/(Ca + 0.5);
half = 2*E;
m_inf = 1/(1 + exp(-(V + 40)/5)); .units(unitless);
tau_m = 1 + dt + g; .units(ms);
both = sat*m_inf;
V_init = E;
Iion = g*m*(V - E) + 0*both + 0*half;
"""


def test_all_models_and_plugins_are_listed_with_their_older_names():
    lines = list_imps().splitlines()
    gap = lines.index("")
    assert (lines[0], lines[gap + 1]) == ("Ionic models:", "Plug-ins:")
    assert [line.split()[0] for line in lines[1:gap]] == [each.name for each in shipped_models()]
    assert [line.split()[0] for line in lines[gap + 2:]] == [each.name for each in shipped_plugins()]
    assert any(line.split() == ["DrouhardRoberge", "MBRDR,", "DR,", "BRDR"] for line in lines)


def test_what_plugins_change_is_listed_as_the_manual_does():
    rows = {line.split()[0]: line.split()[1:] for line in plugin_outputs().splitlines()}
    assert list(rows) == [each.name for each in shipped_plugins()]
    assert rows["IKATP_Ferrero"] == ["K_e", "Iion"]
    assert rows["Stress_Land17"] == ["Tension"]
    assert rows["IFun"] == ["Iion"]
    for name, changed in rows.items():
        assert (load_plugin(name).iion is not None) == ("Iion" in changed)


def test_imp_info_has_the_manuals_columns():
    lines = imp_info(load_model("TT2")).splitlines()
    assert lines[0] == "Name: tenTusscherPanfilov"
    assert "DOI: 10.1152/ajpheart.00109.2006" in lines
    first, states = lines.index("Parameters:"), lines.index("\tState variables:")
    assert "\t                             GNa\t14.838" in lines[first:states]
    assert "\t                            GCaL\t3.98e-05" in lines[first:states]
    assert lines[states - 1] == "\t                           flags\tEPI|ENDO|MCELL"
    assert lines[states + 1] == "\t                              Vm\t-85.23"
    assert [line.split()[0] for line in lines[states + 2:]] == [s.name for s in load_model("TT2").states]


def test_the_manuals_defaults_of_tt2():
    shown = dict(line.split() for line in imp_info(load_model("TT2")).splitlines() if line.startswith("\t")
                 and len(line.split()) == 2)
    manual = {"Ko": 5.4, "Cao": 2, "Nao": 140, "Vc": 0.016404, "Vsr": 0.001094, "Bufc": 0.2, "Kbufc": 0.001,
              "Bufsr": 10, "Kbufsr": 0.3, "Vmaxup": 0.006375, "Kup": 0.00025, "T": 310, "CAPACITANCE": 0.185,
              "Gkr": 0.153, "pKNa": 0.03, "Gks": 0.392, "GK1": 5.405, "Gto": 0.294, "GNa": 14.838,
              "GbNa": 0.00029, "KmK": 1,
              "KmNa": 40, "knak": 2.724, "GCaL": 3.98e-5, "GbCa": 0.000592, "knaca": 1000, "KmNai": 87.5, "KmCa": 1.38,
              "ksat": 0.1, "n": 0.35, "GpCa": 0.1238, "KpCa": 0.0005, "GpK": 0.0146, "scl_tau_f": 1}
    assert {name: float(shown[name]) for name in manual} == manual


def test_imp_info_of_plugins_stands_below_with_names_of_their_own(tmp_path):
    path = tmp_path / "Leaky.model"
    path.write_text("// Title: A leak\nV; .external(Vm);\nIion; .external();\nleak = 0.25; .param();\n"
                    "speed; .flag(SLOW, FAST);\ny_init = 0.5; diff_y = -y;\n"
                    "Iion += (speed == SLOW ? 1 : 2)*leak*y*V;\n")
    text = info(parse(["--imp", "MBRDR", "--plug-in", str(path), "--plug-par", "leak*2", "--imp-info"]))
    model, plugin = text.split("\n\n")
    assert model.startswith("Name: DrouhardRoberge\n") and "leak" not in model
    assert plugin == ("Name: Leaky\nTitle: A leak\nParameters:\n"
                      "\t                            leak\t0.5\n"
                      "\t                           flags\tSLOW|FAST\n"
                      "\tState variables:\n"
                      "\t                               y\t0.5")


def test_several_questions_are_answered_in_turn():
    text = info(parse(["--plugin-outputs", "--list-imps"]))
    assert text == f"{list_imps()}\n\n{plugin_outputs()}"


def test_build_info_names_versions_and_the_compiler():
    lines = info(parse(["--buildinfo"])).splitlines()
    assert [line.split()[0] for line in lines] == ["upstroke", "Python", "numpy", "scipy", "compiler"]
    assert lines[2] == f"numpy {np.__version__}"


def test_build_info_says_that_there_is_no_compiler(monkeypatch):
    from upstroke.errors import BackendError

    def none():
        raise BackendError("", "no C compiler found", "install one")

    monkeypatch.setattr("upstroke.bench.info.find_compiler", none)
    assert info(parse(["--buildinfo"])).splitlines()[-1] == "compiler no C compiler found"


# --------------------------------------------------------------------------------------------------------------- tables
def read(text):
    head = [line[2:] for line in text.splitlines() if line.startswith("# ")]
    rows = np.array([[float(x) for x in line.split()] for line in text.splitlines() if not line.startswith("#")])
    return head, dict(zip(head[-1].split(), rows.T, strict=True))


def test_a_table_for_each_lookup_of_the_file():
    found = tables(read_model(TOY, "Toy"), 0.01)
    assert list(found) == ["LUT_Toy_Ca.dat"]
    head, columns = read(found["LUT_Toy_Ca.dat"])
    assert head[:2] == ["model Toy, dt 0.01 ms", "Ca from 0 to 1 by 0.25"]
    assert list(columns) == ["Ca", "sat"]
    np.testing.assert_allclose(columns["sat"], [0, 1/3, 1/2, 0.6, 2/3], rtol=1e-8)


def test_without_lookup_what_depends_on_the_voltage_alone():
    model = read_model(TOY.replace("Ca; .lookup(0, 1, 0.25);", ""), "Toy")
    head, columns = read(tables(model, 0.01)["LUT_Toy_V.dat"])
    assert head == ["model Toy, dt 0.01 ms", "V from -100 to 100 by 0.05", "mV unitless", "V m_inf"]
    assert len(columns["V"]) == 4001 and columns["V"][[0, 1, -1]].tolist() == [-100, -99.95, 100]
    np.testing.assert_allclose(columns["m_inf"], 1/(1 + np.exp(-(columns["V"] + 40)/5)), rtol=1e-8)


@pytest.mark.parametrize("name", ["TT2", "MBRDR", "Courtemanche"])
def test_tables_of_shipped_models_are_what_the_interpreter_gives(name):
    model = load_model(name)
    (text,) = tables(model, 0.01).values()
    _, columns = read(text)
    states = {s.name: np.full(len(columns["V"]), 0.5) for s in model.states}
    want = quantities(model, columns["V"], states, dt=0.01)
    assert len(columns) > 10
    for column, values in columns.items():
        np.testing.assert_allclose(values, want[column], rtol=1e-8, atol=1e-12, err_msg=column)

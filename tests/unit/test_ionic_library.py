"""Shipped models: found by name and alias, listed fast, described whole."""

import subprocess
import sys
from pathlib import Path

import pytest

from upstroke.cli import main
from upstroke.ionic import describe, load_model, read_model, shipped_models
from upstroke.ionic.header import aliases, bibtex, read_header

HEADER = """
/* A model.
 * Title: On something
 *   and more
 * Authors: A. B. de Vries, C. Doe
 * Year: 2001
 */
// DOI: 10.1/2
// any remark
# Comment: one
# Comment: two
# Aliases: X1, X2

V_init = 0;  // Journal: not in the header
"""


def test_header_of_any_comment_style():
    header = read_header(HEADER)
    assert header == {"Title": "On something and more", "Authors": "A. B. de Vries, C. Doe", "Year": "2001",
                      "DOI": "10.1/2", "Comment": "one\ntwo", "Aliases": "X1, X2"}
    assert aliases(header) == ("X1", "X2")
    assert bibtex(header) == """@article{Vries2001,
  author = {A. B. de Vries and C. Doe},
  title = {{On something and more}},
  year = {2001},
  doi = {10.1/2}
}"""
    assert bibtex({"Title": "T", "Authors": "Doe JR; Roe X"}).startswith("@article{Doe,\n  author = {Doe JR and")
    assert bibtex({"Title": "T"}) == ""
    assert read_header("V_init = 0;\n// Title: late") == {}


def test_names_and_aliases_in_any_case_are_unique():
    words = [word.lower() for i in shipped_models() for word in (i.name, *i.aliases)]
    assert len(words) == len(set(words))
    assert load_model("tt2") == load_model("TenTusscherPanfilov")


def test_models_of_ones_own(tmp_path):
    path = tmp_path / "mine.model"
    path.write_text("// Title: Mine\nV_init = -1; Iion = V;\r\n", encoding="utf-8-sig")
    for way in (path, str(path)):
        model = load_model(way)
        assert (model.name, model.file, model.header["Title"]) == ("mine", str(path), "Mine")


def test_listing_models_needs_neither_the_parser_nor_numpy():
    code = ("import sys, time; from upstroke.ionic import shipped_models; t = time.perf_counter(); shipped_models();"
            "t = time.perf_counter() - t; print('lark' in sys.modules, 'numpy' in sys.modules, t)")
    solver = Path(__file__).parents[2] / "solver"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=solver)
    out = run.stdout.split()
    assert out[:2] == ["False", "False"]
    assert float(out[2]) < 0.2        # 1 ms; the bound allows for a busy machine


def test_description():
    text = describe(read_model(
        "// Title: A toy\n// Authors: J. Doe\n// Year: 2020\n// DOI: 10.1/2\n// Aliases: T1\n// Comment: For tests.\n"
        "// Licence: none\ncell; .flag(EPI, ENDO); g = 0.123456789; .param(); .units(mS/cm^2); V_init = -80;"
        "m_inf = 1; tau_m = 1; c_init = 2e-4; diff_c = -c*c; c; .units(mM); Iion = g*m*c*V;", "toy", flags=["ENDO"]))
    assert text == """toy (also T1)
  A toy

Flags
  cell           EPI | [ENDO]

Parameters
  g              0.123456789    mS/cm^2

States          initial        method         unit
  V              -80            fe             mV
  m              1              rush_larsen
  c              0.0002         fe             mM

Methods
  fe             forward Euler (order 1)
  rush_larsen    exponential Euler for a rate that is linear in the state (order 1)

Changes
  Iion           uA/cm^2        membrane current, outward positive

Reads
  Vm             mV             membrane voltage

Notes
  For tests.
  Licence: none

Cite
  @article{Doe2020,
    author = {J. Doe},
    title = {{A toy}},
    year = {2020},
    doi = {10.1/2}
  }"""


def test_description_tells_what_is_shared():
    model = read_model("V_init = 0; Cai; .external(Ca_i); Ko; .external(K_e); Cai_init = 1e-4; diff_Cai = -Cai*Ko;"
                       "Iion = V;")
    assert "\n\n".join(describe(model).split("\n\n")[-2:]) == """Changes
  Iion           uA/cm^2        membrane current, outward positive
  Ca_i           mM             intracellular calcium

Reads
  Vm             mV             membrane voltage
  K_e            mM             extracellular potassium"""


def test_papers_as_bibtex(capsys, tmp_path):
    assert main(["models", "TT2", "--bibtex"]) == 0
    assert capsys.readouterr().out.startswith("@article{Tusscher2006,\n  author = {K. H. W. J. ten Tusscher and ")
    assert main(["models", "--bibtex"]) == 0
    entries = capsys.readouterr().out.split("\n\n")
    assert all(e.startswith("@article{") for e in entries)
    assert len(entries) == len({i.doi for i in shipped_models()})
    path = tmp_path / "mine.model"
    path.write_text("V_init = 0; Iion = V;")
    assert main(["models", str(path), "--bibtex"]) == 2
    assert capsys.readouterr().err == (
        f"{path}: the file names no paper\n  -> write // Title: and // Authors: on top of it\n")


@pytest.mark.parametrize("name", ["describe", "initial_state", "rates", "METHODS", "Model", "advance", "quantities"])
def test_names_of_the_package_are_loaded_on_demand(name):
    import upstroke.ionic
    assert name in upstroke.ionic.__all__
    assert getattr(upstroke.ionic, name) is not None

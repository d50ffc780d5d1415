"""Whole runs of `upstroke bench`: what they leave behind, and how it hangs together."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import upstroke
from upstroke.cli import main

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(upstroke.__file__).parents[1])}


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """Runs a line in an empty folder; what it prints on stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(line, code=0):
        capsys.readouterr()
        assert main(["bench", *shlex.split(line)]) == code
        return capsys.readouterr()

    return run


def start(line, **streams):
    """The same as a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "upstroke", "bench", *shlex.split(line)], env=ENVIRONMENT,
                            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | streams)


def table(path):
    """The columns of a CSV file, nothing as NaN."""
    with open(path, newline="") as file:
        names, *rows = csv.reader(file)
    return {name: np.array([float(row[k] or "nan") for row in rows]) for k, name in enumerate(names)}


def manifest(path="runs/bench"):
    return json.loads((Path(path) / "run.json").read_text())


def state(path="runs/bench/state.json"):
    return json.loads(Path(path).read_text())["state"]


# ------------------------------------------------------------------------------------------------- the run directory
def test_the_run_directory(bench):
    found = bench("--imp MS --duration 20 --bcl 10 --numstim 2 --imp-par tau_in-10%")
    assert found.err.splitlines()[-1] == "results in runs/bench"
    assert sorted(p.name for p in Path("runs/bench").iterdir()) == ["ap_stats.csv", "run.json", "state.json",
                                                                    "trace.csv"]
    rows = table("runs/bench/trace.csv")
    assert list(rows) == ["time_ms", "V", "Iion", "h"] and rows["time_ms"].tolist() == list(range(21))
    printed = np.array([line.split() for line in found.out.splitlines()], float)
    assert printed == pytest.approx(np.column_stack([rows["time_ms"], rows["V"], rows["Iion"]]), rel=1e-8)
    assert table("runs/bench/ap_stats.csv")["beat"].tolist() == [1, 2]
    about = manifest()
    assert about["status"] == "done" and about["files"] == ["ap_stats.csv", "state.json", "trace.csv"]
    assert about["case"]["bench"] == {"imp": "MS", "duration": 20.0, "bcl": 10.0, "numstim": 2,
                                      "imp-par": "tau_in-10%"}
    assert about["case"]["model"]["parameters"]["tau_in"] == pytest.approx(0.27)
    assert about["case"]["model"]["methods"] == {"V": "fe", "h": "rush_larsen"}
    assert about["versions"]["upstroke"] == upstroke.__version__ and about["versions"]["numpy"]
    assert about["backend"]["precision"] == "fp64" and about["backend"]["device"] == "cpu"
    assert about["units"] == {"V": "mV", "Iion": "uA/cm^2", "h": ""} and about["commit"]
    assert state()["V"] == pytest.approx(rows["V"][-1], rel=1e-11)


def test_a_run_that_breaks_leaves_what_there_was(bench):
    """No step is short enough for so fast a current."""
    found = bench("--imp MS --imp-par tau_in=1e-6 --duration 100 --quiet", code=1)
    assert found.err.splitlines()[-3:] == [
        "t = 1.06 ms: V of the cell is no longer a number",
        "  -> take a smaller --dt, another --method, or a smaller stimulus",
        "what there was until then is in runs/bench"]
    rows = table("runs/bench/trace.csv")
    assert rows["time_ms"].tolist() == [0, 1] and np.isfinite(rows["V"]).all()
    about = manifest()
    assert about["status"] == "failed" and about["error"].startswith("t = 1.06 ms: V of the cell")
    assert len(found.out.splitlines()) == 2


def test_cells_that_break_do_not_stop_the_others(bench):
    Path("cells.csv").write_text("tau_in\n0.3\n1e-300\n")
    found = bench("--imp MS --csv cells.csv --duration 50 --quiet")
    assert ("note: 1 of 2 cells left the finite numbers, the first at t = 1.02 ms: take a smaller --dt, or another "
            "--method") in found.err
    rows = table("runs/bench/features.csv")
    assert np.isnan(rows["broken_at"][0]) and rows["broken_at"][1] == pytest.approx(1.02)
    assert np.isfinite(rows["V_max"][0]) and np.isnan(rows["V_max"][1])


def test_ctrl_c(tmp_path):
    run = start("--imp MS --duration 1e6 --numstim 0 --dt-out 10000 --quiet", cwd=tmp_path)
    while not (tmp_path / "runs/bench/trace.csv").exists() or not run.stdout.readline().startswith(" 30000"):
        assert run.poll() is None
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=30)
    assert run.returncode == 1
    assert err.splitlines()[-2:] == ["interrupted", "what there was until then is in runs/bench"]
    assert manifest(tmp_path / "runs/bench")["status"] == "interrupted"
    rows = table(tmp_path / "runs/bench/trace.csv")
    assert rows["time_ms"][:4].tolist() == [0, 10000, 20000, 30000] and len(rows["time_ms"]) < 100


def test_a_reader_that_goes_away(tmp_path):
    run = start("--imp MS --duration 1e5 --quiet", cwd=tmp_path)
    assert run.stdout.readline().startswith("     0.000 ")
    run.stdout.close()
    assert "Traceback" not in run.stderr.read() and run.wait(30) == 1
    assert manifest(tmp_path / "runs/bench")["status"] == "failed"


def test_runs_at_once_do_not_collide(tmp_path):
    both = [start("--imp MS --duration 5 --quiet", cwd=tmp_path) for _ in range(2)]
    assert [run.communicate(timeout=60)[0].count("\n") for run in both] == [6, 6]
    assert [manifest(tmp_path / "runs" / name)["status"] for name in ("bench", "bench-2")] == ["done", "done"]


# -------------------------------------------------------------------------------------------------- openCARP's files
def test_fout_takes_a_name(bench):
    """openCARP ignores the word of `--fout NAME` and takes BENCH_REG; glued with = it works there too."""
    assert bench("--imp MS --duration 5 --fout NAME").out == ""
    assert len(Path("NAME.txt").read_text().splitlines()) == 6
    bench("--imp MS --duration 5 --fout")
    assert Path("BENCH_REG.txt").read_text() == Path("NAME.txt").read_text()


def test_classic_files_alone(bench):
    out = bench("--imp BeelerReuter --duration 3 --classic --APstatistics").out
    assert sorted(p.name for p in Path().iterdir()) == ["BENCH_REG_AP_stats.dat", "BeelerReuter_trace_header.txt",
                                                        "Trace_0.dat"]
    names = Path("BeelerReuter_trace_header.txt").read_text().split()
    assert np.loadtxt("Trace_0.dat").shape == (4, 1 + len(names)) and out.count("\n") == 4


def test_binary_files(bench):
    out = bench("--imp BeelerReuter --plug-in IA --duration 3 --bin -v -u INa -g IA").out
    rows = np.array([line.split() for line in out.splitlines()], float)
    header = [line.split() for line in Path("runs/bench/BENCH_REG_header.txt").read_text().splitlines()]
    assert header[0] == ["0"] and all(words[1:] == ["double", "8", "4"] for words in header[1:])
    names = [words[0].removeprefix("BENCH_REG") for words in header[1:]]
    assert names[:3] == [".t.bin", ".Vm.bin", ".Iion.bin"] and "_BeelerReuter.Cai.bin" in names
    assert names[-2:] == ["_BeelerReuter.INa.bin", "_Defib_AshiharaTrayanova.I_a.bin"]
    stored = np.fromfile("runs/bench/BENCH_REG.Vm.bin", "<f8")
    assert stored == pytest.approx(rows[:, 1], rel=1e-8)
    trace = table("runs/bench/trace.csv")
    assert trace["INa"] == pytest.approx(np.fromfile("runs/bench/BENCH_REG_BeelerReuter.INa.bin", "<f8"), rel=1e-11)
    calcium = np.fromfile("runs/bench/BENCH_REG_BeelerReuter.Cai.bin", "<f8")
    assert calcium == pytest.approx(1000 * trace["Cai"], rel=1e-9)                        # uM there, mM here


def test_tables_of_what_depends_on_one_variable(bench):
    bench("--imp MS --duration 1 --dump-lut --quiet")
    text = Path("runs/bench/LUT_MitchellSchaeffer_V.dat").read_text().splitlines()
    assert text[3].split()[1:3] == ["V", "u"] and len(text) > 1000


# ------------------------------------------------------------------------------------------------------------- states
def test_a_saved_state_goes_on_to_the_last_bit(bench):
    two = "--imp BeelerReuter --stim-start 0 --bcl 100 --quiet"
    bench(f"{two} --numstim 2 --duration 200 --save-ini-file=half.json --save-ini-time 100 --save-file --save-time 100")
    whole, rows = state(), table("runs/bench/trace.csv")
    for option in ("--read-ini-file half.json", "--restore a.sv"):
        folder = option.split()[1].replace(".", "_")
        bench(f"{two} --numstim 1 --duration 100 {option} --out {folder}")
        assert state(f"{folder}/state.json") == whole, option
        assert table(f"{folder}/trace.csv")["V"].tolist() == rows["V"][100:].tolist()


def test_opencarps_state_file_goes_on_to_its_digits(bench):
    bench("--imp BeelerReuter --duration 50 --save-ini-file --quiet --out first")
    bench("--imp BeelerReuter --duration 0 --read-ini-file singlecell.sv --numstim 0 --quiet --out second")
    assert state("second/state.json") == pytest.approx(state("first/state.json"), rel=1e-5)


def test_initial_values(bench):
    bench("--imp BeelerReuter --SV-init V=-70,Cai=0.3 --duration 0 --numstim 0 --quiet")
    assert state()["V"] == -70 and state()["Cai"] == pytest.approx(0.3e-3)


# ------------------------------------------------------------------------------------------------------- limit cycles
@pytest.mark.parametrize("line, first, found", [
    ("--bcl 1000", "steady after 3 beats: change 1.11e-05 < 0.001", (True, False)),
    ("--bcl 300", "steady after 42 beats, alternating: change over two beats 0.000654 < 0.001, over one 0.00271",
     (True, True)),
    ("--bcl 300 --max-beats 4", "not steady after 4 beats: change 7.7 >= 0.001", (False, False)),
])
def test_limit_cycles(bench, line, first, found):
    err = bench(f"--imp MS --until-steady 1e-3 {line} --quiet --save-ini-file=end.json").err
    assert first in err
    about = manifest()["results"]["limit_cycle"]
    assert (about["reached"], about["alternates"]) == found and set(about["own"]) == {"V", "h"}
    assert state("end.json") == state()


# -------------------------------------------------------------------------------------------------------- populations
def test_a_population(bench):
    err = bench('--imp MS --num 40 --sampling lhs --vary "tau_in=uniform(0.8,1.2),tau_out=lognormal(1,0.1)" '
                '--duration 500 --dt 0.05 --keep "APD90=250:320" --features beats.csv').err
    rows, kept = table("beats.csv"), table("runs/bench/kept.csv")
    assert len(rows["APD90"]) == 40 and list(kept) == ["tau_in", "tau_out"]
    good = (rows["APD90"] >= 250) & (rows["APD90"] <= 320)
    assert 0 < good.sum() < 40 and kept["tau_in"].tolist() == rows["tau_in"][good].tolist()
    assert f"kept: {good.sum()} of 40 cells" in err and "features of every cell in beats.csv" in err
    Path("one.csv").write_text("tau_in,tau_out\n" + f"{float(rows['tau_in'][7])!r},{float(rows['tau_out'][7])!r}\n")
    bench("--imp MS --csv one.csv --duration 500 --dt 0.05 --quiet --keep APD90=0:1000 --out one")
    assert table("one/features.csv")["APD90"][0] == pytest.approx(rows["APD90"][7], rel=1e-12)


def test_a_saved_population_keeps_its_parameters(bench):
    bench('--imp MS --num 3 --vary "tau_in=uniform(0.5,1.5)" --duration 50 --save-file all.npz --quiet --out a')
    bench("--imp MS --num 3 --restore all.npz --duration 50 --numstim 0 --features f.csv --quiet --out b")
    with np.load("all.npz") as saved:
        assert saved["parameter tau_in"].tolist() == table("a/features.csv")["tau_in"].tolist()
        assert table("f.csv")["tau_in"].tolist() == saved["parameter tau_in"].tolist()


def test_a_drug_at_several_concentrations(bench):
    bench('--imp BeelerReuter --block "Ix1:IC50=1,hill=1,conc=0,1" --duration 500 --dt 0.05 --quiet')
    rows = table("runs/bench/features.csv")
    assert rows["conc_Ix1"].tolist() == [0, 1] and rows["APD90"][1] > rows["APD90"][0] + 20


# ----------------------------------------------------------------------------- restitution, reserve, curves of currents
def files(folder, **text):
    for name, lines in text.items():
        (folder / name).write_text("\n".join(map(str, lines)) + "\n")


def test_restitution_in_one_cell(bench, tmp_path):
    files(tmp_path, S1S2=[1, 3, 400, 380, 340, 1, 20], dyn=[0, 3, 400, 360, 2, 20])
    bench("--imp MS --restitute S1S2 --res-file S1S2 --res-trace --res-state-vector --dt 0.02 --quiet --out S1S2_run")
    rows = table("S1S2_run/restitution.csv")
    assert rows["interval"].tolist() == [340, 360, 380] and rows["captured"].tolist() == [1, 1, 1]
    early = table("S1S2_run/apd_restitution.csv")
    assert early["beat"].tolist() == [5, 7, 9] and early["APD90"][::-1] == pytest.approx(rows["APD90"])
    assert early["DI_before"][::-1] == pytest.approx(rows["DI"])
    trace = table("S1S2_run/trace.csv")
    at = 1 + 3 * 400 + 380                                               # ms, of the first early beat
    before = state("S1S2_run/before_beat_5.json")
    assert trace["time_ms"][at] == at and trace["V"][at] == pytest.approx(before["V"], rel=1e-10)
    bench("--imp MS --restitute dyn --res-file dyn --dt 0.02 --quiet --fout X --out dyn_run")
    assert table("dyn_run/restitution.csv")["interval"].tolist() == [360, 380, 400]
    assert len(Path("X_APD_restitution.dat").read_text().splitlines()) == 2 + 3


def test_restitution_in_a_batch_finds_its_intervals(bench):
    out = bench("--imp MS --restitute S1S2f --bcl 400 --dt 0.02 --res-trace --dt-out 5 --res-state-vector --quiet").out
    rows = table("runs/bench/restitution.csv")
    assert out.startswith("threshold ") and "capture lost at" in out and "steepest slope" in out
    good = rows["captured"] > 0
    assert np.ptp(rows["APD90"][good]) > 30 and np.diff(rows["interval"]).min() < 1.0
    assert 1 < rows["slope"][good].max() < 2                     # where upstrokes come late, DI grows again
    assert good.sum() > 20 and np.flatnonzero(~good).max() < np.flatnonzero(good).min()
    trace = table("runs/bench/trace.csv")
    last = trace["cell"] == len(rows["interval"]) - 1
    assert trace["time_ms"][last][1] == 5 and trace["V"][last].max() == pytest.approx(rows["V_max"][-1], abs=3)
    assert trace["V"][0] == pytest.approx(state("runs/bench/S1.json")["V"], rel=1e-10)


def test_the_repolarisation_reserve(bench):
    out = bench("--imp MS --RRC-tol 0.1 --RRC-clamp-dur 600 --dt 0.05").out
    about = manifest()["results"]["reserve"]
    assert out == (f"repolarisation reserve current {about['prevents']:.4g} uA/cm^2 "
                   f"(V falls with {about['allows']:.4g})\n")
    assert 0 < about["prevents"] - about["allows"] <= 0.1
    for current, up in ((about["prevents"], True), (about["allows"], False)):
        files(Path(), pulse=["0 60", "1 60", "1 0", "10 0", f"10 {current}", f"610 {current}"])
        bench(f"--imp MS --stim-file pulse --stim-start 1 --duration 611 --dt 0.05 --quiet --out {up}")
        rows = table(f"{up}/trace.csv")
        assert (rows["V"][11:].min() >= -50) == up


def test_curves_of_gates_and_currents(bench):
    out = bench('--imp BeelerReuter --curves m,h --iv "INa:hold=-90,from=-40,to=0,step=20,dur=5,pre=10"').out
    gates, iv = table("runs/bench/curves.csv"), table("runs/bench/iv.csv")
    assert list(gates) == ["V", "m_inf", "tau_m", "h_inf", "tau_h"] and iv["V"].tolist() == [-40, -20, 0]
    assert (iv["peak"] < -50).all() and out.splitlines()[-1] == "INa over V (mV) in runs/bench/iv.csv"


def test_the_share_of_each_current(bench):
    err = bench("--imp BeelerReuter --bcl 400 --numstim 2 --duration 800 --contributions --quiet").err
    with open("runs/bench/contributions.csv", newline="") as file:
        rows = {row["current"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"INa", "Is", "Ix1", "IK1"}
    assert sum(float(row["share"]) for row in rows.values()) == pytest.approx(100)
    assert "currents from 401 to 800 ms in runs/bench/contributions.csv" in err
    V = table("runs/bench/trace.csv")["V"]
    charge = sum(float(row["charge"]) for row in rows.values())
    assert V[-1] - V[401] == pytest.approx(60 - charge, abs=0.5)             # C_m dV = the stimulus' charge - Iion's


# ---------------------------------------------------------------------------------------------- what is done to cells
def test_voltage_clamps(bench):
    bench("--imp BeelerReuter --clamp-ini -80 --clamp 0 --clamp-start 2 --clamp-dur 3 --duration 8 --quiet --out a")
    assert table("a/trace.csv")["V"][1:].tolist() == [-80, -80, 0, 0, 0, -80, -80, -80]
    files(Path(), steps=["0 -80", "2 -80", "2 0", "5 0"])
    bench("--imp BeelerReuter --clamp-file steps --duration 8 --quiet --out b")
    assert table("b/trace.csv")["V"][1:6].tolist() == pytest.approx([-80, -80, 0, 0, 0])


def test_a_state_and_an_action_potential_are_clamped(bench):
    files(Path(), h=["0 0", "50 0"], AP=["0 -85", "1 20", "4 -85"])
    bench("--imp BeelerReuter --clamp-SVs h --SV-clamp-files h --duration 6 --quiet --out a")
    rows = table("a/trace.csv")
    assert (rows["h"][2:] == 0).all() and rows["V"][4] < table_of(bench, "--duration 6", "free")["V"][4]
    bench("--imp BeelerReuter --AP-clamp-file AP --stim-times 1,10 --duration 15 --quiet --out b")
    V = table("b/trace.csv")["V"]
    assert V[2:5] == pytest.approx([20, -15, -50], abs=1.1) and V[11:14] == pytest.approx(V[2:5])


def table_of(bench, line, folder):
    bench(f"--imp BeelerReuter {line} --quiet --out {folder}")
    return table(f"{folder}/trace.csv")


def test_strain_makes_tension(bench):
    line = "--imp MS --plug-in Stress_Lumens --duration 120 --quiet"
    bench(f"{line} --strain 0.1 --strain-time 20 --out strained")
    bench(f"{line} --out slack")
    a, b = table("strained/trace.csv"), table("slack/trace.csv")
    assert a["Tension"][19] == b["Tension"][19] and a["Tension"][100] != b["Tension"][100]
    assert a["V"].tolist() == b["V"].tolist()


def test_light_makes_a_beat(bench):
    line = "--imp BeelerReuter --plug-in ChR2 --numstim 0 --duration 60 --quiet"
    bench(f"{line} --light-irrad 100 --light-dur 20 --light-start 10 --out lit")
    bench(f"{line} --out dark")
    lit, dark = table("lit/trace.csv"), table("dark/trace.csv")
    assert lit["V"][:11].tolist() == dark["V"][:11].tolist() and lit["V"].max() > 0 > dark["V"].max() + 70
    assert lit["illum"][[9, 15, 35]].tolist() == [0, 100, 0]                # mW/cm^2


# ------------------------------------------------------------------------------------------ models, methods, precision
def test_methods_and_precision(bench):
    ends = {}
    for name, line in {"usual": "", "small": "--dt 0.001", "rk4": "--method rk4", "fp32": "--precision fp32",
                       "one": "--method h=fe"}.items():
        bench(f"--imp MS --duration 100 --quiet --out {name} {line}")
        ends[name] = table(f"{name}/trace.csv")["V"][50]
    best = ends["small"]
    assert abs(ends["rk4"] - best) < 0.2 * abs(ends["usual"] - best) and ends["rk4"] != ends["usual"]
    assert ends["fp32"] == pytest.approx(ends["usual"], abs=0.01) and ends["fp32"] != ends["usual"]
    assert ends["one"] == pytest.approx(ends["usual"], abs=0.01) and ends["one"] != ends["usual"]
    assert manifest("one")["case"]["model"]["methods"] == {"V": "fe", "h": "fe"}


def test_cells_that_beat_by_themselves(bench):
    bench("--imp Severi --numstim 0 --duration 800 --quiet")
    beats = table("runs/bench/ap_stats.csv")
    assert len(beats["beat"]) >= 2 and (beats["V_max"] > 10).all() and beats["V_min"][1] < -55


def test_neurons(bench):
    bench("--imp HodgkinHuxley --stim-curr 20 --stim-times 1,20 --duration 40 --dt-out 0.1 --quiet")
    beats = table("runs/bench/ap_stats.csv")
    assert beats["V_max"] == pytest.approx([40, 40], abs=10) and (beats["APD90"] < 3).all()


def test_a_model_of_ones_own(bench, tmp_path):
    (tmp_path / "leak.model").write_text("V; .external(Vm);\nIion; .external();\ng = 0.1; .param();\nV_init = -80;\n"
                                         "Iion = g*(V + 80);\n")
    bench("--load-module ./leak.model --imp-par g*2 --stim-curr 10 --duration 20 --quiet")
    V = table("runs/bench/trace.csv")["V"]
    assert V[12] + 80 == pytest.approx((V[2] + 80) * np.exp(-0.2 * 10), rel=5e-3)


# --------------------------------------------------------------------------------------------------------- wrong input
@pytest.mark.parametrize("line, code, said", [
    ("--imp MSS", 2, "no model 'MSS'\n  -> did you mean 'MS'? (a model of your own: give its path, PATH/NAME.model)"),
    ("--imp MS --imp-par tau_inn=1", 2,
     "model MitchellSchaeffer: no parameter 'tau_inn'\n  -> did you mean 'tau_in'?"),
    ("--imp MS --duraton 5", 2, "--duraton: no such option\n  -> did you mean '--duration'?"),
    ("MS", 2, "'MS': it stands alone, and each value belongs to an option\n"
              "  -> put its option before it, or leave it out"),
    ("--imp MS --dt 0", 2, "--dt (-D): '0' is not a number above 0\n  -> write --dt=NUMBER"),
    ("--imp MS --duration -1", 2, "--duration (-a): '-1' is not a number, 0 or above\n  -> write --duration=NUMBER"),
    ("--imp MS --stim-curr nan", 2, "--stim-curr (-c): 'nan' is not a number\n  -> write --stim-curr=NUMBER"),
    ("--imp MS --num 0", 2, "--num (-n): '0' is not a whole number, 1 or above\n  -> write --num=INT"),
    ("--imp MS --numstim 2 --stim-times 1,2", 2, "--numstim and --stim-times: they belong to two modes, regstim and "
     "neqstim\n  -> give options of one mode"),
    ("--imp MS -u hh --duration 1", 2,
     "-u/--imp-sv-dump: MitchellSchaeffer has no state or current 'hh'\n  -> did you mean 'h'?"),
    ("--imp MS --SV-init hh=1", 2, "--SV-init: MitchellSchaeffer has no state 'hh'\n  -> did you mean 'h'?"),
    ("--imp MS --stim-file none.trc", 2, "--stim-file: cannot read none.trc: No such file or directory\n"
     "  -> give a file with lines of time and value"),
    ("--imp MS --read-ini-file none.sv", 2, "none.sv: cannot read the state: No such file or directory\n"
     "  -> give a file of --save-ini-file"),
    ("--imp MS --csv none.csv", 2, "none.csv: cannot read the cells: No such file or directory\n"
     "  -> give the path of a .csv file"),
    ("--imp MS --out full", 2, "full: exists and is not empty\n  -> give another folder: --out DIR, or empty this one; "
     "results are never overwritten"),
    ("--imp MS --out full/file", 2, "full/file: is a file, not a folder\n  -> give another folder: --out DIR"),
    ("--imp MS --dt-out 0.001", 2, "--dt-out: 0.001 ms is less than half a time step of 0.01 ms\n"
     "  -> give a time step at least, or a smaller --dt"),
    ("--imp MS --start-out 10 --duration 5", 2, "--start-out: 10 ms is after the end at 5 ms\n"
     "  -> start earlier, or run longer"),
    ("--imp MS --save-time 10 --duration 5", 2, "--save-time: 10 ms is after the end at 5 ms\n"
     "  -> save earlier, or run longer"),
    ("--imp MS --duration 1e300", 2, "--dt: a time comes to 1e+302 time steps, more than can be counted\n"
     "  -> give shorter times, or a longer --dt"),
    ("--imp MS --bcl 1e10 --numstim 1000000", 2, "--dt: a time comes to 1e+18 time steps, more than can be counted\n"
     "  -> give shorter times, or a longer --dt"),
    ("--imp MS --numstim 1000000000000000 --bcl 0.01", 1, "not enough memory: Unable to allocate 7.11 PiB for an array "
     "with shape (1000000000000000,) and data type int64\n"
     "  -> take fewer cells (--num), stimuli or rows (--dt-out)"),
    ("--imp MS --vary tau_in=uniform(0.5,1.5) --rseed -1", 2,
     "--rseed: '-1' is not a whole number, 0 or above\n  -> write --rseed=INT"),
    ("--imp MS --save-file=full", 2, "full: is a folder, not a file\n  -> give the name of a file"),
    ("--imp MS --iv J_in:step=1e-9", 2, "--iv: more than 2000 voltages lie between -100 and 60 mV in steps of "
     "1e-09 mV\n  -> give a larger step"),
    ("--imp MS --trace-no 2 --duration 1", 2, "--trace-no: MitchellSchaeffer marks nothing with .trace(), so that "
     "there is nothing to write\n  -> leave it out: trace.csv has all states, and -u adds currents to it"),
    ("--imp MS --strain 0.1", 2, "--strain: nothing in MitchellSchaeffer reads Lambda or delLambda\n"
     "  -> add a plug-in that does; upstroke models --plugins NAME tells what each reads"),
    ("--imp MS --keep APD9=0:1 --vary tau_in=uniform(0.5,1.5)", 2,
     "--keep: no feature 'APD9'\n  -> did you mean 'APD90'?"),
    ("--imp MS --restitute S1S2", 2, "--restitute S1S2: it needs a file that says the intervals\n"
     "  -> add --res-file FILE, or take --restitute S1S2f, which finds them"),
    ("--imp MS --restitute S1S2f --fout x", 2, "--fout and --restitute S1S2f: each early beat has a cell of its own, "
     "so there is no list of beats; the curve is in restitution.csv\n  -> leave it out, or take S1S2"),
    ("--imp MS --restitute S1S2f --dt-out 2", 2, "--dt-out and --restitute: it does nothing without --res-trace\n"
     "  -> add that, or leave it out"),
    ("--imp MS --restitute S1S2f --save-file", 2,
     "--save-file and --restitute: they do not go together\n  -> leave one out"),
    ("--imp MS --RRC-tol 1 --bin", 2, "--bin and --RRC-tol: they do not go together\n  -> leave one out"),
    ("--imp MS --RRC-tol 1 --RRC-repol 50", 2, "--RRC-repol: between 0 and 50 uA/cm^2 no current decides whether V "
     "falls below 50 mV\n  -> choose another --RRC-repol, --RRC-delay or --RRC-clamp-dur"),
    ('--imp MS --RRC-tol 1 --block "J_in:IC50=1,conc=0,1"', 2, "model MitchellSchaeffer: J_in is proportional to no "
     "parameter that changes nothing but currents\n  -> the model has no conductances"),
    ('--imp BeelerReuter --RRC-tol 1 --block "IK1:IC50=1,conc=0,1"', 2, "--RRC-... and --num: the current is that of "
     "one cell, and there are 2\n  -> leave out --num, --vary and --csv"),
])
def test_wrong_input(bench, line, code, said):
    Path("full").mkdir()
    Path("full/file").touch()
    err = bench(line, code).err
    assert err.endswith(said + "\n") and "Traceback" not in err
    assert code == 1 or not list(Path().glob("runs/*"))             # a mistake leaves nothing behind


@pytest.mark.parametrize("option", ["--save-file", "--save-ini-file", "--features"])
def test_what_cannot_be_written_is_told_before_the_work(bench, option):
    Path("full").touch()
    found = bench(f"--imp MS --num 2 --duration 1 {option}=full/x", 2)
    assert found.err.endswith("full/x: cannot be written: Not a directory\n  -> check the free space and the rights of "
                              "the folder, or write elsewhere\n")
    assert found.out == ""


def test_stimuli_after_the_end_cost_nothing(bench):
    bench("--imp MS --numstim 1000000000 --bcl 10 --duration 25 --quiet")
    assert table("runs/bench/ap_stats.csv")["beat"].tolist() == [1, 2, 3]


def test_quick(tmp_path):
    """What is asked most often answers at once: no compiler, no tables of units."""
    begun = time.perf_counter()
    assert start("--help", cwd=tmp_path).communicate(timeout=30)[0].startswith("Single cell experiments.")
    assert time.perf_counter() - begun < 3            # 0.2 s on an idle machine

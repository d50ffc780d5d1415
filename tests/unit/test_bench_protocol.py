"""What options do to a cell: pacing, waveforms, clamps, strain and light as inputs on integer steps."""

from pathlib import Path

import numpy as np
import pytest

from upstroke.bench.options import parse
from upstroke.bench.protocol import FARADAY, duration, inputs, onsets, paced
from upstroke.bench.signals import Signal, read_signal, rounded
from upstroke.errors import OptionError
from upstroke.ionic import load_model, read_model

CELL = """
V; .external(Vm);
Iion; .external();
Ki_init = 140; diff_Ki = 0; Ki; .units(mM);
Cai_init = 0.1; diff_Cai = 0; Cai; .units(uM);
Cl_i_init = 20; diff_Cl_i = 0; Cl_i; .units(mM);
y_init = 0.5; diff_y = -y;
V_init = -80;
Iion = y*(V + 80) + 0*Ki + 0*Cai + 0*Cl_i;
"""


@pytest.fixture(scope="module")
def cell():
    return read_model(CELL, "Cell")


@pytest.fixture(scope="module")
def muscle():
    return load_model("TT2", plugins=["LandHumanStress"])


@pytest.fixture
def trace(tmp_path):
    """Writes a file, its lines ended by line breaks or semicolons, and gives its path."""
    def write(text, name="x.trc"):
        (tmp_path / name).write_text(text.replace("; ", "\n"))
        return str(tmp_path / name)

    return write


def given(model, dt, *argv):
    return inputs(parse(argv), model, dt)


def course(found, target, steps, how=None):
    """The value of a channel in each of the first steps."""
    (channel,) = [c for c in found.channels if c.target == target and how in (None, c.how)]
    return channel.values[np.searchsorted(found.steps, np.arange(steps), side="right") - 1, 0]


def begins(found):
    return found.steps[found.starts[:, 0]].tolist()


def message(function, *arguments):
    with pytest.raises(OptionError) as error:
        function(*arguments)
    return str(error.value)


nan = np.nan


# --------------------------------------------------------------------------------------------------------------- pacing
def test_one_stimulus_by_default(cell):
    found = given(cell, 0.01)
    assert found.steps.tolist() == [0, 100, 200] and begins(found) == [100]
    (channel,) = found.channels
    assert (channel.target, channel.how) == ("V", "current")
    np.testing.assert_array_equal(channel.values[:, 0], [nan, 60.0, nan])
    assert found.steps.dtype == np.int64 and found.starts.shape == channel.values.shape == (3, 1)


def test_times_become_steps_as_in_opencarp(cell):
    # starts in step round(10.3/0.5), lasts round(0.7/0.5) steps, comes again after round(3.3/0.5)
    found = given(cell, 0.5, "--stim-start=10.3", "--stim-dur=0.7", "--bcl=3.3", "--numstim=3", "-c-5")
    assert begins(found) == [21, 28, 35]
    np.testing.assert_array_equal(course(found, "V", 38), [-5 if k in (21, 28, 35) else nan for k in range(38)])


def test_a_stimulus_lasts_a_step_at_least(cell):
    assert np.count_nonzero(course(given(cell, 0.5, "--stim-dur=0.01"), "V", 100) == 60.0) == 1


def test_halves_are_rounded_away_from_zero():
    assert rounded(np.array([0.5, 1.5, 2.5, -0.5, 2.4999])).tolist() == [1, 2, 3, -1, 2]


@pytest.mark.parametrize("n", ["0", "-1"])
def test_no_stimulus(cell, n):
    found = given(cell, 0.01, f"--numstim={n}")
    assert found.steps.tolist() == [0] and begins(found) == []


def test_a_stimulus_of_no_current_still_starts_a_beat(cell):
    found = given(cell, 0.01, "--stim-curr=0")
    assert found.channels == () and begins(found) == [100]


def test_irregular_stimuli(cell):
    assert begins(given(cell, 0.5, "--stim-times=10,360,700,920")) == [20, 720, 1400, 1840]
    assert begins(given(cell, 0.5, "--stim-times=10,350,340,220", "--DIA")) == [20, 720, 1400, 1840]


def test_irregular_stimuli_are_in_order(cell):
    assert message(given, cell, 0.01, "--stim-times=10,5") == (
        "--stim-times: 5 ms does not come after 10 ms\n  -> put the times in order, a time step apart at least")


def test_a_stimulus_that_still_lasts_begins_anew(cell, trace):
    ramp = trace("0 0\n4 8\n")
    found = given(cell, 1.0, f"--stim-file={ramp}", "--stim-start=0", "--bcl=3", "--numstim=2")
    np.testing.assert_array_equal(course(found, "V", 8), [0, 2, 4, 0, 2, 4, 6, nan])


def test_a_search_for_the_steady_state_paces_until_it_gives_up():
    assert onsets(parse(["--until-steady=1e-3", "--max-beats=4", "--bcl=10", "--stim-start=0"]), 1.0).tolist() == \
        [0, 10, 20, 30]


# ------------------------------------------------------------------------------------------------------------- duration
@pytest.mark.parametrize("argv, ms", [
    ([], 1001), (["--duration=0"], 0), (["-a", "12.3"], 12.3), (["--numstim=3", "--bcl=500", "--stim-start=0"], 2000),
    (["--numstim=0"], 1001), (["--past-stim=50"], 51), (["--stim-times=10,360", "--past-stim=5"], 365),
    (["--stim-times=10,350", "--DIA"], 1360), (["--clamp-ini=-80"], 1000),
    (["--clamp-ini=-80", "--clamp=20", "--clamp-start=50", "--clamp-dur=100", "--past-stim=0"], 150),
])
def test_how_long_a_run_is(argv, ms):
    assert duration(parse(argv), 0.01) == round(ms / 0.01)


def test_a_clamp_file_tells_how_long_a_run_is(trace):
    assert duration(parse([f"--clamp-file={trace('0 -80; 30 20')}", "--past-stim=10"]), 0.5) == 80


# ------------------------------------------------------------------------------------------------------------ waveforms
def test_a_waveform_is_joined_by_straight_lines_and_starts_with_each_stimulus(cell, trace):
    path = trace("# t y\n0.5 0\n1.5, 10\n1.5 20  # a jump\n2.5 20\n")
    found = given(cell, 0.25, f"--stim-file={path}", "--numstim=2", "--stim-start=0", "--bcl=5")
    wave = [nan, nan, 0, 2.5, 5, 7.5, 20, 20, 20, 20] + [nan] * 10
    np.testing.assert_array_equal(course(found, "V", 40), [*wave, *wave])
    assert begins(found) == [0, 20]


@pytest.mark.parametrize("head", ["", "3\n", "\n# three\n3\n"])
def test_the_number_of_lines_may_stand_first(trace, head):
    signal = read_signal(Path(trace(head + "0 1\n1 2\n3 6\n")), "--stim-file")
    np.testing.assert_allclose(signal.at(np.array([0.0, 0.5, 1.0, 2.0, 3.0])), [1, 1.5, 2, 4, 6])


def test_a_signal_is_what_its_lines_say():
    signal = Signal(np.array([0.0, 1.0, 1.0, 2.0]), np.array([0.0, 1.0, 5.0, 5.0]))
    assert signal.at(np.array([0.25, 1.0, 1.5])).tolist() == [0.25, 5.0, 5.0]
    first, values = signal.sampled(0.5)
    assert (first, values.tolist()) == (0, [0.0, 0.5, 5.0, 5.0])


@pytest.mark.parametrize("text, what", [
    ("0 1\n1 x\n", "{}:2: 'x' is no number\n  -> write lines of time and value"),
    ("0 1\n1 nan\n", "{}:2: 'nan' is no number\n  -> write lines of time and value"),
    ("0 1\n\n1 2 3\n", "{}:3: '1 2 3' is not a time and a value\n  -> write two numbers"),
    ("0 1\n2\n", "{}:2: '2' is not a time and a value\n  -> write two numbers"),
    ("-1 0\n1 2\n", "{}:1: the time -1 is below 0\n  -> times count from where the signal starts"),
    ("0 1\n2 1\n1 1\n", "{}:3: the time 1 comes after 2\n  -> put the lines in order of time"),
    ("3\n0 1\n2 1\n", "{}:1: 3 lines are announced, and there are 2\n  -> correct the number, or leave it out"),
    ("0 1\n", "{}: a signal has two lines at least\n  -> write lines of time and value"),
    ("", "{}: a signal has two lines at least\n  -> write lines of time and value"),
])
def test_files_that_are_wrong(cell, trace, text, what):
    path = trace(text)
    assert message(given, cell, 0.01, f"--stim-file={path}") == what.format(path)


def test_files_that_cannot_be_read(cell, tmp_path):
    path = tmp_path / "none.trc"
    assert message(given, cell, 0.01, f"--stim-file={path}") == (
        f"--stim-file: cannot read {path}: No such file or directory\n  -> give a file with lines of time and value")
    path.write_bytes(b"\xff\xfe\x00")
    assert message(given, cell, 0.01, f"--stim-file={path}") == (
        f"--stim-file: cannot read {path}: it is no text file in UTF-8\n  -> give a file with lines of time and value")


# --------------------------------------------------------------------------------------------------- voltage and charge
def test_a_voltage_acts_through_a_resistance(cell):
    (channel,) = inputs(parse(["--stim-volt=20", "--resistance=50"]), cell, 0.01, C_m=2.0).channels
    assert (channel.target, channel.how, channel.tau) == ("V", "couple", 100.0)       # R C_m
    np.testing.assert_array_equal(channel.values[:, 0], [nan, 20.0, nan])


def test_the_charge_of_the_stimulus_enters_as_ions(cell):
    found = given(cell, 0.01, "-A", "-c30", "--stim-species=K_i:Cai:Cl_i", "--stim-ratios=0.5:0.2:0.3",
                  "--surface-to-volume=0.2")
    # 30 uA/cm^2 over 0.2/um = 2000/cm is 0.06 A/cm^3 = 60 A/L; / F in mol/L/s, which is mM/ms
    flow = 60.0 / FARADAY
    for target, want in (("Ki", 0.5 * flow), ("Cai", 0.2 * flow / 2 * 1000), ("Cl_i", -0.3 * flow)):
        np.testing.assert_allclose(course(found, target, 300, "flux")[[99, 100, 199, 200]], [nan, want, want, nan],
                                   rtol=1e-12)
    assert (course(found, "V", 300)[100:200] == 30.0).all()


def test_the_charge_follows_the_waveform(cell, trace):
    found = given(cell, 1.0, "-A", f"--stim-file={trace('0 0; 4 8')}", "--stim-start=0")
    np.testing.assert_allclose(course(found, "Ki", 5), np.array([0, 2, 4, 6, nan]) * 1.4 / FARADAY, rtol=1e-12)


def test_calcium_is_charged_in_the_models_unit(cell):
    rate = {unit: course(inputs(parse(["-A", "--stim-species=Cai"]), read_model(CELL.replace("(uM)", f"({unit})"), "C"),
                                0.01), "Cai", 101)[100] for unit in ("mM", "uM")}
    assert rate["uM"] == pytest.approx(1000 * rate["mM"], rel=1e-12)


@pytest.mark.parametrize("argv, what", [
    (["--stim-species=K_i:Cl_i"], "--stim-species and --stim-ratios: 2 species have 1 shares\n"
                                  "  -> give one for each, with colons between"),
    (["--stim-species=K_i:Cl_i", "--stim-ratios=0.7:0.4"],
     "--stim-ratios: the shares add up to 1.1\n  -> they are at most 1 together"),
    (["--stim-species=Na_i"], "--stim-species: model Cell has no state 'Na_i'\n  -> known: Cai, Cl_i, Ki, y"),
    (["--stim-species=y"], "--stim-species: which ion is 'y'?\n  -> name one that begins with K, Na, Ca, Cl, Mg, H"),
])
def test_charges_that_cannot_be(cell, argv, what):
    assert message(given, cell, 0.01, "-A", *argv) == what


def test_only_concentrations_are_charged():
    model = read_model(CELL.replace("Ki; .units(mM)", "Ki; .units(mV)"), "Cell")
    assert message(given, model, 0.01, "-A") == (
        "--stim-species: Ki of model Cell is in mV, and is no concentration\n  -> name concentrations in the cell")


def test_a_concentration_goes_by_its_global_name():
    model = read_model(CELL.replace("Ki", "potassium").replace("potassium; .units", "potassium; .external(K_i).units"),
                       "Cell")
    assert [c.target for c in given(model, 0.01, "-A").channels] == ["V", "potassium"]


# --------------------------------------------------------------------------------------------------------------- clamps
def test_a_clamp_pulse_in_a_paced_run(cell):
    found = given(cell, 0.5, "--clamp=-20", "--clamp-dur=2", "--clamp-start=3")
    np.testing.assert_array_equal(course(found, "V", 12, "set"), [nan] * 6 + [-20] * 4 + [nan] * 2)
    assert begins(found) == [2] and course(found, "V", 12, "current")[2] == 60.0


def test_a_clamp_of_no_duration_is_none(cell):
    assert [c.how for c in given(cell, 0.5, "--clamp=-20", "--clamp-dur=0").channels] == ["current"]


@pytest.mark.parametrize("quiet", [[], ["--stim-curr=0"]])
def test_the_voltage_clamp_of_the_tutorial(cell, quiet):
    found = given(cell, 0.5, *quiet, "--clamp-ini=-80", "--clamp=20", "--clamp-start=3", "--clamp-dur=2")
    np.testing.assert_array_equal(course(found, "V", 12), [-80] * 6 + [20] * 4 + [-80] * 2)
    assert begins(found) == []


def test_a_voltage_that_is_held(cell):
    np.testing.assert_array_equal(course(given(cell, 0.5, "--clamp-ini=-80"), "V", 4), [-80] * 4)


@pytest.mark.parametrize("outside", [nan, -80.0])
def test_a_voltage_from_a_file(cell, trace, outside):
    argv = [] if np.isnan(outside) else [f"--clamp-ini={outside}"]
    found = given(cell, 0.5, f"--clamp-file={trace('1 -80; 2 0; 3 0')}", *argv)
    np.testing.assert_array_equal(course(found, "V", 8), [outside] * 2 + [-80, -40, 0, 0] + [outside] * 2)


def test_an_action_potential_is_replayed_at_each_stimulus(cell, trace):
    found = given(cell, 1.0, f"--AP-clamp-file={trace('0 -80; 2 20; 3 20')}", "--numstim=2",
                  "--bcl=5", "--stim-start=1")
    np.testing.assert_array_equal(course(found, "V", 11), [nan, -80, -30, 20, nan, nan, -80, -30, 20, nan, nan])
    assert begins(found) == [1, 6] and [c.how for c in found.channels] == ["set"]


@pytest.mark.parametrize("clamp", ["--clamp-ini=-80", "--AP-clamp-file=x", "--clamp-file=x"])
def test_a_stimulus_into_a_clamped_cell_is_an_error(cell, clamp):
    assert message(given, cell, 1.0, "--stim-curr=5", clamp) == (
        f"--stim-curr and {clamp.split('=')[0]}: a stimulus has no effect on a clamped voltage\n"
        "  -> leave one out, or write --stim-curr 0")


def test_states_are_clamped_at_each_stimulus(muscle, trace):
    files = f"{trace('0 1; 2 2', 'a')}:{trace('0 0.1; 2 0.1', 'b')}"
    argv = ["--clamp-SVs=Cai:TRPN", f"--SV-clamp-files={files}", "--stim-start=1", "--bcl=4", "--numstim=2"]
    found = given(muscle, 1.0, *argv)
    np.testing.assert_allclose(course(found, "Cai", 8), [nan, 1e-3, 1.5e-3, nan, nan, 1e-3, 1.5e-3, nan])    # uM
    np.testing.assert_allclose(course(found, "Stress_Land17.TRPN", 4), [nan, 0.1, 0.1, nan])
    once = given(muscle, 1.0, *argv, "--SV-I-trigger=off")
    np.testing.assert_allclose(course(once, "Cai", 8), [1e-3, 1.5e-3] + [nan] * 6)


def test_a_stretch_protocol_sets_shared_quantities(muscle, trace):
    files = f"{trace('0 1; 2 1.1', 'l')}:{trace('0 0.05; 2 0.05', 'd')}"
    found = given(muscle, 1.0, "--clamp-SVs=Lambda:delLambda", f"--SV-clamp-files={files}", "--SV-I-trigger=off")
    np.testing.assert_allclose(course(found, "Lambda", 4), [1, 1.05, 1, 1])
    np.testing.assert_allclose(course(found, "delLambda", 4), [0.05, 0.05, 0, 0])


@pytest.mark.parametrize("argv, what", [
    (["--clamp-SVs=y:Ki", "--SV-clamp-files=a"], "--clamp-SVs and --SV-clamp-files: 2 names have 1 files\n"
                                                 "  -> give one for each, with colons between"),
    (["--clamp-SVs=yy", "--SV-clamp-files=a"],
     "--clamp-SVs: model Cell has no state 'yy'\n  -> did you mean 'y'?"),
    (["--clamp-SVs=Vm", "--SV-clamp-files=a"],
     "--clamp-SVs: Vm is no state variable\n  -> clamp it with --clamp, --clamp-ini, --clamp-file or --AP-clamp-file"),
    (["--clamp-SVs=y", "--SV-clamp-files=a", "--clamp-ini=-80"],
     "--clamp-SVs: these clamps start with each stimulus, and there is none\n"
     "  -> add --SV-I-trigger=off: they then start at 0 ms"),
])
def test_state_clamps_that_cannot_be(cell, argv, what):
    assert message(given, cell, 0.01, *argv) == what


def test_two_options_do_not_drive_the_same(muscle, trace):
    path = trace("0 1\n1 1\n")
    assert message(given, muscle, 0.1, "--strain=0.1", "--clamp-SVs=Lambda", f"--SV-clamp-files={path}") == (
        "--clamp-SVs and --strain: both drive Lambda\n  -> leave one out")


# ----------------------------------------------------------------------------------------------------- strain and light
def test_strain_is_applied_and_removed_in_straight_lines(muscle):
    found = given(muscle, 0.5, "--strain=0.1", "--strain-time=2", "--strain-rate=1", "--strain-dur=3")
    Lambda = course(found, "Lambda", 16)
    np.testing.assert_allclose(Lambda, [1] * 4 + [1, 1.05] + [1.1] * 4 + [1.1, 1.05] + [1] * 4)
    np.testing.assert_allclose(course(found, "delLambda", 15), np.diff(Lambda) / 0.5, atol=1e-12)


def test_strain_without_duration_stays(muscle):
    found = given(muscle, 0.5, "--strain=-0.1", "--strain-time=2", "--strain-rate=0")
    np.testing.assert_allclose(course(found, "Lambda", 9), [1] * 5 + [0.9] * 4)
    np.testing.assert_allclose(course(found, "delLambda", 9), [0] * 4 + [-0.2] + [0] * 4)


def test_strain_that_is_removed_as_soon_as_it_is_applied(muscle):
    found = given(muscle, 0.5, "--strain=0.1", "--strain-time=0", "--strain-rate=1", "--strain-dur=1")
    np.testing.assert_allclose(course(found, "Lambda", 6), [1, 1.05, 1.1, 1.05, 1, 1])


def test_strain_starts_from_the_length_that_the_model_has():
    model = load_model("TT2", parameters={"Lambda": 1.2}, plugins=["LandHumanStress"])
    np.testing.assert_allclose(course(given(model, 1.0, "-N0.1", "-t1"), "Lambda", 5), [1.2, 1.2, 1.25, 1.3, 1.3])


@pytest.mark.parametrize("argv, what", [
    (["--strain=-1"], "--strain: a strain of -1 leaves no length\n  -> give one above -1"),
    (["--strain=0.1", "--strain-dur=1", "--strain-rate=2"],
     "--strain-dur and --strain-rate: 1 ms are too short to apply the strain in 2 ms\n"
     "  -> make the duration longer, or the ramp shorter"),
])
def test_strain_that_cannot_be(muscle, argv, what):
    assert message(given, muscle, 0.1, *argv) == what


@pytest.mark.parametrize("argv, reads", [(["--strain=0.1"], "Lambda or delLambda"), (["--light-irrad=1"], "illum")])
def test_what_nothing_reads_is_an_error(cell, argv, reads):
    assert message(given, cell, 0.1, *argv) == (
        f"{argv[0].split('=')[0]}: nothing in Cell reads {reads}\n"
        "  -> add a plug-in that does; upstroke models --plugins NAME tells what each reads")


LIT = CELL.replace("y_init", "illum; .external();\ny_init").replace("Iion = ", "Iion = illum + ")


def test_light_comes_in_pulses():
    model = read_model(LIT, "Lit")
    found = given(model, 1.0, "--light-irrad=2", "--light-dur=2", "--light-start=1", "--light-bcl=4",
                  "--light-numstim=2")
    assert course(found, "illum", 9).tolist() == [0, 2, 2, 0, 0, 2, 2, 0, 0] and begins(found) == [1]
    found = given(model, 1.0, "--light-irrad=2", "--light-times=1,4", "--light-dur=1")
    assert course(found, "illum", 6).tolist() == [0, 2, 0, 0, 2, 0]
    assert message(given, model, 1.0, "--light-irrad=2", "--light-times=4,1") == (
        "--light-times: 1 ms does not come after 4 ms\n  -> put the times in order, a time step apart at least")


def test_light_from_a_file(trace):
    found = given(read_model(LIT, "Lit"), 1.0, f"--light-file={trace('1 0; 3 4')}", "--light-start=1")
    assert course(found, "illum", 6).tolist() == [0, 0, 0, 2, 0, 0]


def test_light_in_another_unit():
    model = read_model(LIT.replace("illum; .external()", "illum; .external().units(W/m^2)"), "Lit")
    assert course(given(model, 1.0, "--light-irrad=2", "--light-start=0"), "illum", 1)[0] == pytest.approx(20.0)


# --------------------------------------------------------------------------------------------------------------- trains
def test_the_stimulus_at_other_times_in_several_trains(cell):
    found = paced(parse(["-c5", "-T2", "-A"]), cell, 1.0, [[1.0, 7.0], [4.0]])
    assert found.steps.tolist() == [0, 1, 3, 4, 6, 7, 9]
    assert found.starts.T.astype(int).tolist() == [[0, 1, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0, 0]]
    current, charge = found.channels
    np.testing.assert_array_equal(current.values.T, [[nan, 5, nan, nan, nan, 5, nan],
                                                     [nan, nan, nan, 5, nan, nan, nan]])
    assert (np.isnan(charge.values) == np.isnan(current.values)).all()


def test_a_current_for_each_train(cell):
    found = paced(parse(["-T2"]), cell, 0.5, [[1.0], [1.0, 3.0]], currents=np.array([5.0, 6.0]))
    (current,) = found.channels
    assert found.steps.tolist() == [0, 2, 6, 10]
    np.testing.assert_array_equal(current.values.T, [[nan, 5, nan, nan], [nan, 6, 6, nan]])

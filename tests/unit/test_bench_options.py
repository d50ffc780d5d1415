"""The command line of ``upstroke bench``: how words become values, what cannot be, and the text for each case."""

import subprocess
import sys
from pathlib import Path

import pytest

from upstroke.bench.catalogue import OPTIONS, SECTION_OF, SECTIONS
from upstroke.bench.help import answer
from upstroke.bench.options import parse
from upstroke.errors import OptionError

#: openCARP's options by mode or section, with their short forms: those of version 16 and of the manual's older list.
CLASSIC = """
help/h detailed-help full-help version/V numstim stim-start/i bcl/b stim-times DIA restitute res-file res-trace
res-state-vector list-imps plugin-outputs imp-info buildinfo clamp-ini clamp-file RRC-delay RRC-clamp-dur RRC-repol
RRC-tol stim-curr/c stim-volt stim-file duration/a past-stim dt/D num/n ext-vm-update rseed target stim-dur/T
stim-assign/A stim-species stim-ratios resistance surface-to-volume light-irrad light-dur light-numstim light-bcl
light-start light-times light-file imp/I imp-par/p plug-in/P plug-par/m load-module clamp/l clamp-dur/L clamp-start
clamp-SVs SV-clamp-files SV-I-trigger AP-clamp-file strain/N strain-time/t strain-dur/y strain-rate dt-out/o start-out
fout/O no-trace trace-no bin/B imp-sv-dump/u plug-sv-dump/g dump-lut/d APstatistics validate/v save-time/s save-file/f
restore/r save-ini-file/F save-ini-time/S read-ini-file/R SV-init doppel-on doppel-dur
"""


def text(*argv):
    with pytest.raises(OptionError) as error:
        parse(argv)
    assert error.value.exit_code == 2
    return str(error.value)


# ------------------------------------------------------------------------------------------------------------ the table
def test_every_option_of_opencarp_is_there_with_its_short_form():
    for word in CLASSIC.split():
        name, _, short = word.partition("/")
        assert (OPTIONS[name].short, OPTIONS[name].ours) == (short, False), name
    assert [name for name, option in OPTIONS.items() if not option.ours] == \
        [name for name in OPTIONS if name in {word.split("/")[0] for word in CLASSIC.split()}]


def test_names_and_letters_are_unique_and_what_they_refer_to_exists():
    names = [name for option in OPTIONS.values() for name in (option.name, *option.aliases)]
    assert len(names) == len(set(names)) == sum(len(s.options) for s in SECTIONS) + 1    # numstim has an alias
    letters = [option.short for option in OPTIONS.values() if option.short]
    assert len(letters) == len(set(letters))
    for option in OPTIONS.values():
        section = SECTION_OF[option.name]
        referred = {*option.needs, *option.clashes, *(option.only_with or ()), *section.needs, *section.clashes}
        assert referred <= set(OPTIONS) - {option.name}


@pytest.mark.parametrize("name, default", [
    ("numstim", 1), ("stim-start", 1.0), ("bcl", 1000.0), ("stim-curr", 60.0), ("stim-dur", 1.0), ("dt", 0.01),
    ("past-stim", 1000.0), ("num", 1), ("resistance", 100.0), ("surface-to-volume", 0.14), ("clamp-start", 10.0),
    ("RRC-delay", 10.0), ("RRC-clamp-dur", 1000.0), ("RRC-repol", -50.0), ("RRC-tol", 0.02), ("light-dur", 10.0),
    ("strain-time", 200.0), ("strain-rate", 2.0), ("strain-dur", None), ("dt-out", 1.0), ("start-out", 0.0),
    ("SV-I-trigger", True), ("stim-species", ("K_i",)), ("imp", "DrouhardRoberge"), ("duration", None),
])
def test_defaults_are_those_of_opencarp(name, default):
    options = parse([])
    assert options[name] == default and not options.given(name)


# ---------------------------------------------------------------------------------------------------------------- words
@pytest.mark.parametrize("argv, name, value", [
    (["--bcl", "500"], "bcl", 500.0),
    (["--bcl=500"], "bcl", 500.0),
    (["-b500"], "bcl", 500.0),
    (["-b", "500"], "bcl", 500.0),
    (["-c60"], "stim-curr", 60.0),
    (["-c-60"], "stim-curr", -60.0),
    (["--clamp-ini", "-80"], "clamp-ini", -80.0),
    (["--clamp-ini", "-8e1"], "clamp-ini", -80.0),          # argparse takes this one for an option
    (["--dt", ".01"], "dt", 0.01),
    (["--num-stim", "10"], "numstim", 10),                  # the manual's own spelling
    (["--num-s", "10"], "numstim", 10),
    (["--num", "10"], "num", 10),                           # an exact name wins over what it begins
    (["--stim-c", "10"], "stim-curr", 10.0),
    (["--va"], "validate", True),                           # clear in openCARP, so --vary does not make it unclear
    (["--fout"], "fout", "BENCH_REG"),
    (["--fout=AP"], "fout", "AP"),
    (["--fout", "AP"], "fout", "AP"),                       # openCARP drops this name
    (["-O", "AP"], "fout", "AP"),
    (["-OAP"], "fout", "AP"),
    (["--fout", "--bin"], "fout", "BENCH_REG"),
    (["--save-ini-time", "12500", "--save-ini-file"], "save-ini-file", Path("singlecell.sv")),
    (["-Bvc5"], "stim-curr", 5.0),
    (["-Bvc5"], "bin", True),
    (["--stim-times", "10,360,700,920"], "stim-times", (10.0, 360.0, 700.0, 920.0)),
    (["-P", "EP_RS:IA"], "plug-in", ("EP_RS", "IA")),
    (["-A", "--stim-species", "K_i:Cl_i", "--stim-ratios", "0.7:0.3"], "stim-ratios", (0.7, 0.3)),
    (["--clamp-SVs", "Lambda", "--SV-clamp-files", "l.dat", "--SV-I-trigger=off"], "SV-I-trigger", False),
    (["--flag", "EPI", "--flag", "x=SLOW"], "flag", ("EPI", "x=SLOW")),
    (["--target", "mlir-cpu"], "backend", "cpu"),
    (["--target", "mlir-cuda"], "backend", "cuda"),
    (["-u", "m,h"], "imp-sv-dump", ("m", "h")),
])
def test_words_become_values(argv, name, value):
    options = parse(argv)
    assert options[name] == value and options.given(name)


def test_what_is_no_option_has_no_value():
    with pytest.raises(KeyError):
        parse([])["bcll"]


@pytest.mark.parametrize("argv, message", [
    (["--bcll", "3"], "--bcll: no such option\n  -> did you mean '--bcl'?"),
    (["--xyzzy"], "--xyzzy: no such option\n  -> upstroke bench --help lists all"),
    (["-q"], "-q: no such option\n  -> upstroke bench --help lists all"),
    (["--clamp-f", "x", "--clamp-S", "y", "--SV"],
     "--SV: may be --SV-clamp-files or --SV-I-trigger or --SV-init\n  -> write more of it"),
    (["--bcl", "1", "-b2"], "--bcl (-b): it is given twice\n  -> keep one"),
    (["--past-stim", "1", "--past-stim", "1"], "--past-stim: it is given twice\n  -> keep one"),
    (["stray"], "'stray': it stands alone, and each value belongs to an option\n"
                "  -> put its option before it, or leave it out"),
    (["bcl"], "'bcl': it stands alone, and each value belongs to an option\n  -> write --bcl"),
    (["--bin", "-5"], "'-5': it stands alone, and each value belongs to an option\n"
                      "  -> put its option before it, or leave it out"),
    (["--bcl", "x"], "--bcl (-b): 'x' is not a number above 0\n  -> write --bcl=NUMBER"),
    (["--bcl", "0"], "--bcl (-b): '0' is not a number above 0\n  -> write --bcl=NUMBER"),
    (["--dt=nan"], "--dt (-D): 'nan' is not a number above 0\n  -> write --dt=NUMBER"),
    (["--stim-curr", "inf"], "--stim-curr (-c): 'inf' is not a number\n  -> write --stim-curr=NUMBER"),
    (["--duration", "-1"], "--duration (-a): '-1' is not a number, 0 or above\n  -> write --duration=NUMBER"),
    (["--numstim", "1.5"], "--numstim: '1.5' is not a whole number\n  -> write --numstim=INT"),
    (["--num", "0"], "--num (-n): '0' is not a whole number, 1 or above\n  -> write --num=INT"),
    (["--threads", "1025"], "--threads: '1025' is not a whole number from 1 to 1024\n  -> write --threads=INT"),
    (["--stim-times", "1,x"], "--stim-times: '1,x' is not a list of times (ms, 0 or above) with commas between\n"
                              "  -> write --stim-times=T0,T1,..."),
    (["--plug-in", "A::B"], "--plug-in (-P): 'A::B' is not a list of names with colons between\n"
                            "  -> write --plug-in=A:B:..."),
    (["--imp-sv-dump", "a,,b"], "--imp-sv-dump (-u): 'a,,b' is not a list of names with commas between\n"
                                "  -> write --imp-sv-dump=A,B,..."),
    (["--stim-ratios", "-1"], "--stim-ratios: '-1' is not a list of numbers, 0 or above, with colons between\n"
                              "  -> write --stim-ratios=X:Y:..."),
    (["--SV-clamp-files", "a::"], "--SV-clamp-files: 'a::' is not a list of files with colons between\n"
                                  "  -> write --SV-clamp-files=FILE:..."),
    (["--restitute", "S2"], "--restitute: 'S2' is not one of S1S2, dyn, S1S2f\n  -> write --restitute=S1S2|dyn|S1S2f"),
    (["--SV-I-trigger=no"], "--SV-I-trigger: 'no' is not on or off\n  -> write --SV-I-trigger=on|off"),
    (["--imp"], "--imp (-I): it needs text\n  -> write --imp=TEXT"),
    (["--imp", "--bcl", "5"], "--imp (-I): it needs text\n  -> write --imp=TEXT"),
    (["--restore="], "--restore (-r): '' is not a file name\n  -> write --restore=FILE"),
    (["--DIA=3"], "--DIA: it takes no value, and is given '3'\n  -> write --DIA"),
    (["--bin", "+", "-ksp_view"], "+: what follows a lone + is meant for PETSc, which is not used here\n"
                                  "  -> leave out the + and all after it"),
    (["--doppel-on"], "--doppel-on: what openCARP's copy cell does is documented nowhere, so it is not here\n"
                      "  -> leave it out"),
    (["--doppel-dur", "3"], "--doppel-dur: what openCARP's copy cell does is documented nowhere, so it is not here\n"
                            "  -> leave it out"),
    (["--target", "mlir-rocm"], "--target: mlir-rocm is not available: there is no code for AMD's GPUs\n"
                                "  -> take auto, cpu, mlir-cpu, mlir-cuda"),
])
def test_words_that_cannot_be(argv, message):
    assert text(*argv) == message


# ------------------------------------------------------------------------------------------------- options side by side
HEADS = {"regstim": ["--until-steady=2"], "neqstim": ["--stim-times=1,2"], "restitute": ["--restitute=dyn"],
         "info": ["--imp-info"], "vclamp": ["--clamp-ini=-80"], "RRC": ["--RRC-delay=5"], "curves": ["--curves=m"]}


@pytest.mark.parametrize("one", HEADS)
@pytest.mark.parametrize("other", HEADS)
def test_modes_exclude_each_other(one, other):
    if one == other:
        assert parse(HEADS[one]).mode == one
    else:
        a, b = (HEADS[mode][0].split("=")[0] for mode in (one, other))
        assert text(*HEADS[one], *HEADS[other]) == (f"{a} and {b}: they belong to two modes, {one} and {other}\n"
                                                    "  -> give options of one mode")


@pytest.mark.parametrize("argv, mode", [
    ([], "regstim"), (["--bcl=500"], "regstim"), (["--bcl=500", "--restitute=S1S2f"], "restitute"),
    (["--RRC-tol=1", "--numstim=9", "--bcl=500", "--stim-start=0"], "RRC")])
def test_some_options_of_pacing_go_with_other_modes(argv, mode):
    assert parse(argv).mode == mode


@pytest.mark.parametrize("argv, message", [
    (["--bcl=500", "--numstim=3", "--restitute=dyn"],
     "--numstim and --restitute: they belong to two modes, regstim and restitute\n  -> give options of one mode"),
    (["-c5", "--stim-volt=5"], "--stim-curr and --stim-volt: each is a stimulus type\n  -> give one"),
    (["--stim-file=x", "-c5"], "--stim-curr and --stim-file: each is a stimulus type\n  -> give one"),
    (["--clamp=20"], "--clamp: it does nothing without --clamp-dur\n  -> add that, or leave it out"),
    (["--light-bcl=5"], "--light-bcl: it does nothing without --light-irrad or --light-file\n"
                        "  -> add that, or leave it out"),
    (["--duration=5", "--past-stim=5"], "--duration and --past-stim: they do not go together\n  -> leave one out"),
    (["--restitute=dyn", "--duration=5"], "--duration and --restitute: they do not go together\n  -> leave one out"),
    (["--num=3", "--restitute=dyn"], "--num and --restitute: they do not go together\n  -> leave one out"),
    (["--RRC-tol=1", "--vary=x"], "--vary and --RRC-tol: they do not go together\n  -> leave one out"),
    (["--list-imps", "--dt=1"], "--list-imps and --dt: they do not go together\n  -> leave one out"),
    (["--until-steady=1e-3", "--stim-times=1"],
     "--until-steady and --stim-times: they belong to two modes, regstim and neqstim\n  -> give options of one mode"),
])
def test_options_that_contradict(argv, message):
    assert text(*argv) == message


@pytest.mark.parametrize("option", [option for option in OPTIONS.values() if option.needs], ids=lambda o: o.name)
def test_what_would_do_nothing_is_an_error(option):
    value = {"INT": "1", "FILE": "x", "T0,T1,...": "1", "FILE:...": "x", "on|off": "on", "A:B:...": "x", "TEXT": "x",
             "X:Y:...": "1", "random|lhs|sobol": "lhs"}.get(option.kind.metavar, "1") if option.kind else ""
    message = text(f"--{option.name}={value}" if value else f"--{option.name}")
    assert message == (f"--{option.name}: it does nothing without {' or '.join(f'--{n}' for n in option.needs)}\n"
                       "  -> add that, or leave it out")


def test_the_manuals_command_lines_are_read():
    for line in (
        "--imp TT2 --imp-info", "--list-imps", "--stim-curr 60 --stim-dur 2", "--stim-file mypulse.trc",
        "--imp TT2 --numstim 50 --stim-start 10. --bcl 350", "--imp TT2 --stim-times 10,360,700,920",
        "--duration 5000 --bcl 500 --num-stim 10 --stim-start 0", "--duration 400 --dt-out 0.1 --fout=AP",
        "--num 100000 --duration 10", "--imp TT2 --imp-par=GNa-62%,GCaL-69% --numstim 10 --bcl 500 --duration 5000",
        "--imp TT2 --plug-in I_KATP:LandHumanStress --imp-par GNa*0.8 --plug-par f_ATP-10%:Tref-10%,TRPN_n+25%",
        "--imp TT2 --plug-in LandHumanStress --fout=b --stim-start 0. --numstim 25 --bcl 500 --duration 12500 "
        "--save-ini-time 12500 --save-ini-file",
        "--stim-curr 0 --clamp-ini -80 --clamp 20 --clamp-start 50 --clamp-dur 100",
    ):
        parse(line.split())


# ----------------------------------------------------------------------------------------------------------------- help
@pytest.mark.parametrize("argv, asked", [(["--help"], "help"), (["-h"], "help"), (["--detailed-help"], "detailed-help"),
                                         (["--full-help"], "full-help"), (["-V"], "version"), ([], "")])
def test_who_asks_for_help(argv, asked):
    assert parse(argv).asked == asked


def test_help_is_answered_whatever_else_is_there():
    assert parse(["--clamp=3", "--help"]).asked == "help"


def test_help_comes_in_three_levels():
    short, details, full = (answer(asked) for asked in ("help", "detailed-help", "full-help"))
    assert "  -b, --bcl=NUMBER           basic cycle length  (default=`1000')\n" in short
    assert "Mode: regstim\n  regular periodic stimuli\n" in short and "\nSimulation control:\n" in short
    assert "  -O, --fout[=TEXT]          output to files of this name  (`BENCH_REG' if it stands alone)\n" in short
    assert "round(bcl/dt)" not in short and "round(bcl/dt)" in details
    assert "--doppel-on" not in details and "--doppel-on" in full and "not available" in full
    assert len(short) < len(details) < len(full)
    for name in OPTIONS:
        assert f"--{name}" in full
    assert max(len(line) for line in full.splitlines()) <= 120


def test_the_version():
    from upstroke import __version__

    assert answer("version") == f"upstroke bench {__version__}"


def test_options_and_help_load_neither_numpy_nor_the_models():
    code = ("from upstroke.bench.options import parse; from upstroke.bench.help import answer; import sys; "
            "answer(parse(['--help']).asked); print(*sys.modules)")
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "upstroke.ionic", "lark"} & set(loaded)

"""All options of ``upstroke bench``. To add one, add an entry: ``options.py`` reads the table, ``help.py`` shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upstroke.bench.reading import finite


@dataclass(frozen=True)
class Kind:
    """What the value of an option is: ``read`` turns text into it, or raises ValueError where it is not ``expects``."""

    metavar: str
    expects: str
    read: Callable[[str], Any]


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes
    ----------
    name : long name, without dashes
    kind : what its value is; None: it takes none, and is True where it is given
    help : one line
    default : its value where it is not given; with ``many`` that is ()
    short : one letter
    aliases : other long names
    bare : its value where it stands without one; None: it needs one
    many : may be given several times; its value is the tuple of them
    needs : it does nothing unless at least one of these is given
    clashes : it cannot go with these
    only_with : it cannot go with anything but these; None: with anything
    details : more, for --detailed-help
    hidden : shown by --full-help only
    also : modes besides its section's that it may go with
    ours : not an option of openCARP
    refused : why it is an error to give it, though openCARP has it
    """

    name: str
    kind: Kind | None
    help: str
    default: Any = None
    short: str = ""
    aliases: tuple[str, ...] = ()
    bare: Any = None
    many: bool = False
    needs: tuple[str, ...] = ()
    clashes: tuple[str, ...] = ()
    only_with: tuple[str, ...] | None = None
    details: str = ""
    hidden: bool = False
    also: tuple[str, ...] = ()
    ours: bool = False
    refused: str = ""


@dataclass(frozen=True)
class Section:
    """Options that stand together in the help. Those of two different modes exclude each other; of an ``exclusive``
    section at most one can be given. ``needs`` and ``clashes`` hold for all of them."""

    title: str
    options: tuple[Option, ...]
    note: str = ""
    mode: str = ""
    exclusive: bool = False
    needs: tuple[str, ...] = ()
    clashes: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------------ kinds of values
def _number(text: str) -> float:
    value = finite(text)
    if value is None:
        raise ValueError(text)
    return value


def _above(low: float, number: Callable[[str], Any], *, equal: bool) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = number(text)
        if value < low or (value == low and not equal):
            raise ValueError(text)
        return value

    return read


def _threads(text: str) -> int:
    if not 1 <= (value := int(text)) <= 1024:
        raise ValueError(text)
    return value


def _list(mark: str, item: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        return tuple(item(part) for part in text.split(mark))

    return read


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError(text)
    return text.strip()


def _path(text: str) -> Path:
    return Path(_text(text))


def _switch(text: str) -> bool:
    return {"on": True, "off": False}[text]


def choice(*words: str) -> Kind:
    """One of several words."""
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return Kind("|".join(words), f"one of {', '.join(words)}", read)


NUMBER = Kind("NUMBER", "a number", _number)
POSITIVE = Kind("NUMBER", "a number above 0", _above(0.0, _number, equal=False))
NOT_NEGATIVE = Kind("NUMBER", "a number, 0 or above", _above(0.0, _number, equal=True))
INT = Kind("INT", "a whole number", int)
SEED = Kind("INT", "a whole number, 0 or above", _above(0, int, equal=True))
COUNT = Kind("INT", "a whole number, 1 or above", _above(1, int, equal=True))
THREADS = Kind("INT", "a whole number from 1 to 1024", _threads)
TEXT = Kind("TEXT", "text", _text)
PATH = Kind("FILE", "a file name", _path)
TIMES = Kind("T0,T1,...", "a list of times (ms, 0 or above) with commas between", _list(",", NOT_NEGATIVE.read))
WORDS = Kind("A,B,...", "a list of names with commas between", _list(",", _text))
NAMES = Kind("A:B:...", "a list of names with colons between", _list(":", _text))
NUMBERS = Kind("X:Y:...", "a list of numbers, 0 or above, with colons between", _list(":", NOT_NEGATIVE.read))
FILES = Kind("FILE:...", "a list of files with colons between", _list(":", _path))
SWITCH = Kind("on|off", "on or off", _switch)

# ---------------------------------------------------------------------------------------------------------- the table
#: Work that is no paced run, so that nothing of a stimulus means anything to it.
UNPACED = ("curves", "iv")
RESERVE = ("RRC-delay", "RRC-clamp-dur", "RRC-repol", "RRC-tol")
#: What chooses by itself how many cells there are.
OWN_CELLS = ("restitute", *UNPACED, *RESERVE)
#: What shows no rows over time and no beats.
NO_ROWS = (*UNPACED, *RESERVE)
#: What gives its own protocol.
OWN_PROTOCOL = (*OWN_CELLS, "until-steady")

SECTIONS: tuple[Section, ...] = (
    Section("", (
        Option("help", None, "Print help and exit", short="h"),
        Option("detailed-help", None, "Print help with the details of each option, and exit"),
        Option("full-help", None, "Print help with details and rarely used options, and exit"),
        Option("version", None, "Print version and exit", short="V"),
    )),
    Section("Mode: regstim", (
        Option("numstim", INT, "number of stimuli", 1, aliases=("num-stim",), clashes=("until-steady",),
               also=("RRC",),
               details="0 or less: none."),
        Option("stim-start", NOT_NEGATIVE, "start stimulation", 1.0, "i", also=("RRC", "restitute")),
        Option("bcl", POSITIVE, "basic cycle length", 1000.0, "b", also=("RRC", "restitute"),
               details="The first stimulus starts in time step round(stim-start/dt), and each other one round(bcl/dt) "
                       "steps after that before it."),
    ), "regular periodic stimuli", mode="regstim"),
    Section("Mode: neqstim", (
        Option("stim-times", TIMES, "comma separated list of stim times"),
        Option("DIA", None, "times after the first are intervals", needs=("stim-times",)),
    ), "irregularly timed stimuli", mode="neqstim"),
    Section("Mode: restitute", (
        Option("restitute", choice("S1S2", "dyn", "S1S2f"), "restitution experiment"),
        Option("res-file", PATH, "definition file for restitution parameters", needs=("restitute",)),
        Option("res-trace", None, "output ionic model trace", needs=("restitute",),
               details="Rows every --dt-out. S1S2 and dyn: of the whole experiment. S1S2f: of each premature beat; "
                       "cell k is row k of the curve, from 0."),
        Option("res-state-vector", None, "save the state before each premature beat", needs=("restitute",)),
    ), "restitution curves", mode="restitute"),
    Section("Mode: info", (
        Option("list-imps", None, "list all available IMPs", only_with=("plugin-outputs", "imp-info", "buildinfo")),
        Option("plugin-outputs", None, "list the outputs of available plugins",
               only_with=("list-imps", "imp-info", "buildinfo")),
        Option("imp-info", None, "print tunable parameters and state variables for particular IMPs",
               only_with=("list-imps", "plugin-outputs", "buildinfo", "imp", "imp-par", "plug-in", "plug-par",
                          "load-module", "model", "flag")),
        Option("buildinfo", None, "print versions and what is used to compile", hidden=True,
               only_with=("list-imps", "plugin-outputs", "imp-info")),
    ), "output IMP information", mode="info"),
    Section("Mode: vclamp", (
        Option("clamp-ini", NUMBER, "outside of clamp pulse, clamp Vm to this value",
               details="There is no stimulus then; --stim-curr 0 may be said but need not."),
        Option("clamp-file", PATH, "clamp voltage to a signal read from a file", clashes=("clamp", "clamp-dur"),
               details="Lines of time (ms) and Vm (mV), joined by straight lines. Before the first time and after the "
                       "last, Vm is held at --clamp-ini; without that it is free."),
    ), "Constant Voltage clamp", mode="vclamp"),
    Section("Mode: RRC", (
        Option("RRC-delay", NOT_NEGATIVE, "time from the stimulus to the current", 10.0),
        Option("RRC-clamp-dur", POSITIVE, "how long the current flows at most", 1000.0),
        Option("RRC-repol", NUMBER, "Vm below which the cell has repolarised", -50.0),
        Option("RRC-tol", POSITIVE, "precision of the current", 0.02),
    ), "Repolarisation reserve: the least current that prevents repolarisation", mode="RRC"),
    Section("Group: stimtype", (
        Option("stim-curr", NUMBER, "stimulation current", 60.0, "c", details="uA/cm^2; positive depolarises."),
        Option("stim-volt", NUMBER, "stimulation voltage", clashes=("clamp-ini", "clamp-file", "AP-clamp-file"),
               details="mV, behind --resistance R: the stimulus current is (stim-volt - Vm)/R."),
        Option("stim-file", PATH, "use signal from a file for current stim",
               clashes=("clamp-ini", "clamp-file", "AP-clamp-file"),
               details="Lines of time (ms after the stimulus starts) and current (uA/cm^2), joined by straight lines; "
                       "the number of lines may stand on the first. It ends with the file's last time."),
    ), "stimulus type", exclusive=True, clashes=UNPACED),
    Section("Simulation control", (
        Option("duration", NOT_NEGATIVE, "duration of simulation", short="a",
               clashes=("past-stim", *OWN_PROTOCOL),
               details="By default until --past-stim after the last stimulus (or the last time of a voltage clamp)."),
        Option("past-stim", NOT_NEGATIVE, "time to simulate past the last stimulus, without --duration", 1000.0,
               clashes=OWN_PROTOCOL),
        Option("dt", POSITIVE, "time step", 0.01, "D"),
        Option("num", COUNT, "number of cells", 1, "n", clashes=("csv", *OWN_CELLS)),
        Option("ext-vm-update", None, "update Vm externally", clashes=("method",), hidden=True,
               details="Vm is advanced by forward Euler whatever the model's file says: --method V=fe."),
        Option("rseed", SEED, "random number seed", 1, needs=("vary",)),
        Option("target", choice("auto", "cpu", "mlir-cpu", "mlir-cuda", "mlir-rocm"), "where to compute", "auto",
               clashes=("backend",), details="As --backend auto, cpu, cpu, cuda. mlir-rocm is an error: there is no "
                                             "code for AMD's GPUs."),
    )),
    Section("Stimulus details", (
        Option("stim-dur", POSITIVE, "duration of stimulus pulse", 1.0, "T",
               clashes=("stim-file", "clamp-ini", "clamp-file", "AP-clamp-file"),
               details="It lasts round(stim-dur/dt) time steps, at least one."),
        Option("stim-assign", None, "stimulus current assignment", short="A",
               clashes=("stim-volt", "clamp-ini", "clamp-file", "AP-clamp-file"),
               details="The charge of the stimulus enters the cell as ions: a current I changes the concentration of a "
                       "species of valence z that carries a share r of it by r I S/(z F V) in unit time, where S/V is "
                       "--surface-to-volume."),
        Option("stim-species", NAMES, "concentrations that should be affected by stimuli, e.g. 'K_i:Cl_i'", ("K_i",),
               needs=("stim-assign",)),
        Option("stim-ratios", NUMBERS, "proportions of stimulus current carried by each species, e.g. '0.7:0.3'",
               (1.0,), needs=("stim-assign",)),
        Option("surface-to-volume", POSITIVE, "surface of a cell over its volume [1/um]", 0.14, needs=("stim-assign",)),
        Option("resistance", POSITIVE, "coupling resistance [kOhm cm^2]", 100.0, needs=("stim-volt",)),
    ), clashes=UNPACED),
    Section("Light", (
        Option("light-irrad", NOT_NEGATIVE, "irradiance [mW/cm^2]", 0.0, clashes=("light-file",)),
        Option("light-dur", POSITIVE, "duration of a pulse of light", 10.0, needs=("light-irrad",)),
        Option("light-numstim", COUNT, "number of pulses", 1, needs=("light-irrad", "light-file"),
               clashes=("light-times",)),
        Option("light-bcl", POSITIVE, "time between pulses", 1000.0, needs=("light-irrad", "light-file"),
               clashes=("light-times",)),
        Option("light-start", NOT_NEGATIVE, "time of the first pulse", 10.0, needs=("light-irrad", "light-file"),
               clashes=("light-times",)),
        Option("light-times", TIMES, "comma separated list of the pulses' times", needs=("light-irrad", "light-file")),
        Option("light-file", PATH, "use signal from a file for each pulse",
               details="Lines of time (ms after the pulse starts) and irradiance."),
    ), "needs a plug-in or a model that reads illum", clashes=OWN_PROTOCOL),
    Section("Ionic Models", (
        Option("imp", TEXT, "IMP to use", "DrouhardRoberge", "I",
               details="A name or an older one of --list-imps, in upper or lower case, or the path of a .model file."),
        Option("imp-par", TEXT, "params to modify IMP", "", "p",
               details="GNa-62%, GNa*0.38, GNa/2, GNa+1, GNa=5.6, GNa=-5, flags=EPI, with commas between."),
        Option("plug-in", NAMES, "plugins to use, separate with ':'", (), "P"),
        Option("plug-par", TEXT, "params to modify plug-ins, separate params with ',' and plugin params with ':'", "",
               "m", needs=("plug-in",)),
        Option("load-module", PATH, "load a .model file for use with bench (implies --imp)", many=True,
               details="The file's name without .model is then the name of a model for --imp, or of a plug-in for "
                       "--plug-in. May be given several times."),
        Option("model", PATH, "the same as --load-module", many=True, ours=True),
        Option("flag", TEXT, "a variant of the model, EPI or cell_type=EPI; may be given several times", many=True,
               ours=True),
        Option("method", TEXT, "integration method: METHOD, or STATE=METHOD,...", "", ours=True,
               details="METHOD holds for Vm and all states; with STATE=METHOD only those named are changed. "
                       "fe, rush_larsen, sundnes, rk2, rk4, markov_be, rosenbrock, auto."),
    )),
    Section("Voltage clamp pulse", (
        Option("clamp", NUMBER, "clamp Vm to this value", 0.0, "l", needs=("clamp-dur",)),
        Option("clamp-dur", NOT_NEGATIVE, "duration of Vm clamp pulse", 0.0, "L"),
        Option("clamp-start", NOT_NEGATIVE, "start time of Vm clamp pulse", 10.0, needs=("clamp-dur",)),
    ), clashes=OWN_PROTOCOL),
    Section("Clamps to signals", (
        Option("clamp-SVs", NAMES, "colon separated list of state variable to clamp", (), needs=("SV-clamp-files",),
               details="States, or shared quantities that the model reads, such as Lambda. Outside of the file's times "
                       "a state is free, and a shared quantity has its default. Cytosolic calcium is in uM."),
        Option("SV-clamp-files", FILES, ": separated list of files from which to read state variables", (),
               needs=("clamp-SVs",)),
        Option("SV-I-trigger", SWITCH, "apply SV clamps at each current stim", True, bare=True, needs=("clamp-SVs",),
               details="Off: they are applied once, at 0 ms."),
        Option("AP-clamp-file", PATH, "action potential trace applied at each stimulus",
               clashes=("clamp", "clamp-dur", "clamp-ini", "clamp-file"),
               details="Lines of time (ms after the stimulus starts) and Vm (mV). There is no stimulus current then."),
    ), clashes=OWN_PROTOCOL),
    Section("Strain", (
        Option("strain", NUMBER, "amount of strain to apply", 0.0, "N",
               details="Lambda rises from 1 to 1 + strain in a straight line, and falls back in the same way."),
        Option("strain-time", NOT_NEGATIVE, "time to strain", 200.0, "t", needs=("strain",)),
        Option("strain-dur", POSITIVE, "duration of strain (default: tonic) [ms]", None, "y", needs=("strain",),
               details="From where the strain begins to be applied to where it begins to be removed."),
        Option("strain-rate", NOT_NEGATIVE, "time to apply/remove strain", 2.0, needs=("strain",)),
    ), "needs a plug-in or a model that reads Lambda or delLambda", clashes=OWN_PROTOCOL),
    Section("Output", (
        Option("dt-out", POSITIVE, "temporal output granularity", 1.0, "o", clashes=NO_ROWS),
        Option("start-out", NOT_NEGATIVE, "time of the first output", 0.0, clashes=OWN_CELLS),
        Option("fout", TEXT, "output to files of this name", None, "O", bare="BENCH_REG", clashes=NO_ROWS),
        Option("no-trace", None, "do not output trace", clashes=("trace-no", *OWN_CELLS)),
        Option("trace-no", INT, "number for trace file name", 0, clashes=NO_ROWS),
        Option("bin", None, "write binary files", short="B", clashes=OWN_CELLS),
        Option("imp-sv-dump", WORDS, "sv dump list", (), "u", clashes=OWN_CELLS),
        Option("plug-sv-dump", TEXT, ": separated sv dump list for plug-ins, names separated by commas", "", "g",
               needs=("plug-in",), clashes=OWN_CELLS),
        Option("dump-lut", None, "dump lookup tables", short="d",
               details="Tables of everything that depends on one variable alone. The model is not computed with them."),
        Option("APstatistics", None, "compute AP statistics", clashes=NO_ROWS),
        Option("validate", None, "output all SVs", short="v", clashes=OWN_CELLS),
        Option("out", PATH, "the run directory (default: runs/bench)", clashes=("classic",), ours=True),
        Option("classic", None, "openCARP's file names, in the current directory, instead of a run directory",
               ours=True),
        Option("plot", PATH, "draw a picture of the run", bare=Path("bench.png"),
               clashes=("no-trace", "classic", *RESERVE), ours=True,
               details="PNG, PDF or SVG, by the name's end; where it stands alone the picture is in the run directory. "
                       "Needs matplotlib."),
        Option("contributions", None, "each current's share of the beat, in a table", clashes=OWN_CELLS, ours=True),
        Option("quiet", None, "no progress, nothing that is not a result", ours=True),
    )),
    Section("State saving/restoring", (
        Option("save-time", NOT_NEGATIVE, "time at which to save state (default: the end)", None, "s",
               clashes=OWN_CELLS),
        Option("save-file", PATH, "file in which to save state", None, "f", bare=Path("a.sv"), clashes=OWN_CELLS,
               details="All cells, with names, in full precision. The file is a.sv where only --save-time is given."),
        Option("restore", PATH, "restore saved state file", None, "r", clashes=("read-ini-file",)),
        Option("save-ini-file", PATH, "text file in which to save state of a single cell", None, "F",
               bare=Path("singlecell.sv"), clashes=OWN_CELLS,
               details="openCARP's layout. The file is singlecell.sv where only --save-ini-time is given."),
        Option("save-ini-time", NOT_NEGATIVE, "time at which to save single cell state (default: the end)", None, "S",
               clashes=OWN_CELLS),
        Option("read-ini-file", PATH, "text file from which to read state of a single cell", None, "R"),
        Option("SV-init", TEXT, "colon separated list of comma separated SV=value, model first, then each plug-in", "",
               details="Cytosolic calcium is in uM."),
    )),
    Section("Upstroke: limit cycle", (
        Option("until-steady", POSITIVE, "pace until states differ by less than this from beat to beat", ours=True),
        Option("max-beats", COUNT, "give up after so many beats", 1000, needs=("until-steady",), ours=True),
    ), "pace as --bcl and --stim-start say until the state returns", mode="regstim"),
    Section("Upstroke: populations", (
        Option("vary", TEXT, 'vary parameters between --num cells, "GKr=lognormal(1,0.2),GNa=uniform(0.5,1.5)"',
               ours=True, clashes=("csv",)),
        Option("sampling", choice("random", "lhs", "sobol"), "how --vary is sampled", "random", needs=("vary",),
               ours=True),
        Option("csv", PATH, "parameters of each cell: a column for each, a row for each cell", ours=True),
        Option("features", PATH, "write what is measured of each cell's last beat, .csv or .parquet", ours=True),
        Option("keep", TEXT, 'keep the cells whose features lie in ranges, "APD90=200:400,V_rest=-90:-70"', ours=True,
               needs=("vary", "csv")),
    ), "cells that differ, in one batch", clashes=OWN_CELLS),
    Section("Upstroke: drugs", (
        Option("block", TEXT, 'block a current, "IKr:IC50=1.2,hill=0.9,conc=3"; may be given several times', many=True,
               ours=True),
    )),
    Section("Mode: curves", (
        Option("curves", WORDS, "steady state and time constant of gates over Vm", ours=True),
        Option("iv", TEXT, "current-voltage curve by voltage clamp", ours=True),
    ), "curves of gates and currents", mode="curves"),
    Section("Upstroke: machine", (
        Option("threads", THREADS, "threads of the CPU (default: all)", None, ours=True),
        Option("precision", choice("fp64", "fp32", "mixed"), "floating-point precision", "fp64", ours=True),
        Option("backend", choice("auto", "cpu", "cuda"), "where to compute", "auto", ours=True),
    )),
    Section("Not available", (
        Option("doppel-on", None, "openCARP's copy cell", hidden=True,
               refused="what openCARP's copy cell does is documented nowhere, so it is not here"),
        Option("doppel-dur", NUMBER, "openCARP's copy cell", hidden=True,
               refused="what openCARP's copy cell does is documented nowhere, so it is not here"),
    )),
)

OPTIONS: dict[str, Option] = {option.name: option for section in SECTIONS for option in section.options}
SECTION_OF: dict[str, Section] = {option.name: section for section in SECTIONS for option in section.options}

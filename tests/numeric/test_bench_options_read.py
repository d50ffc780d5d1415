"""No option of `upstroke bench` is accepted and ignored: in every mode each one is read, or giving it is an error."""

import shlex
from pathlib import Path
from typing import ClassVar

import pytest

from upstroke.bench import run as room
from upstroke.bench.catalogue import OPTIONS
from upstroke.bench.options import Options, parse
from upstroke.errors import OptionError, UpstrokeError

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

#: A model that has all that options may drive.
MODEL = """\
V; .external(Vm); .units(mV);
Iion; .external(); .units(uA/cm^2);
illum; .external();
Lambda; .external();
K_i; .external();
g = 0.1; .param(); .units(mS/cm^2);
layer; .flag(ENDO, EPI);
V_init = -80;
n_init = 0.3;
K_i_init = 140;
diff_n = (1/(1 + exp(-V/10)) - n)/((layer == EPI) ? 5 : 6);
diff_K_i = 0;
IK = g*n*(V + 80); .trace();
Iion = IK - 0.1*illum - 0.1*(Lambda - 1);
"""
#: A value of each option that takes one, and what else must stand beside it.
VALUES = {
    "numstim": "2", "stim-start": "1", "bcl": "9", "stim-times": "1,5", "restitute": "S1S2", "res-file": "res",
    "clamp-ini": "-70", "clamp-file": "signal", "RRC-delay": "2", "RRC-clamp-dur": "90", "RRC-repol": "-35",
    "RRC-tol": "1", "stim-curr": "20", "stim-volt": "0", "stim-file": "signal", "duration": "12", "past-stim": "10",
    "dt": "0.1", "num": "2", "rseed": "3", "target": "cpu", "stim-dur": "2", "stim-species": "K_i", "stim-ratios": "1",
    "surface-to-volume": "0.2", "resistance": "50", "light-irrad": "1", "light-dur": "2", "light-numstim": "2",
    "light-bcl": "4", "light-start": "1", "light-times": "1,4", "light-file": "signal", "imp": "./tiny.model",
    "imp-par": "g*2", "plug-in": "IA", "plug-par": "slope*2", "load-module": "tiny.model", "model": "tiny.model",
    "flag": "EPI", "method": "n=fe", "clamp": "10", "clamp-dur": "2", "clamp-start": "3", "clamp-SVs": "n",
    "SV-clamp-files": "signal", "SV-I-trigger": "off", "AP-clamp-file": "signal", "strain": "0.1",
    "strain-time": "2", "strain-dur": "5", "strain-rate": "1", "dt-out": "2", "start-out": "1", "fout": "NAME",
    "trace-no": "3", "imp-sv-dump": "n", "plug-sv-dump": "I_a", "out": "out", "plot": "plot.png", "save-time": "4",
    "save-file": "all.sv", "restore": "saved.sv", "save-ini-file": "one.sv", "save-ini-time": "5",
    "read-ini-file": "saved.json", "SV-init": "n=0.2", "until-steady": "1e-2", "max-beats": "3",
    "vary": "g=uniform(0.5,1.5)", "sampling": "lhs", "csv": "cells.csv", "features": "f.csv",
    "keep": "V_max=>-1000", "block": "IK:IC50=1,conc=1", "curves": "n", "iv": "IK:dur=2,pre=1", "threads": "1",
    "precision": "fp32", "backend": "cpu", "doppel-dur": "1",
}
MODES = {
    "regstim": "--past-stim=10", "neqstim": "--stim-times=1,5 --past-stim=10", "vclamp": "--clamp-ini=-70 --duration=9",
    "S1S2": "--restitute=S1S2 --res-file=res", "dyn": "--restitute=dyn --res-file=dyn",
    "S1S2f": "--restitute=S1S2f --bcl=9 --stim-curr=20", "RRC": "--RRC-tol=1 --RRC-clamp-dur=100 --RRC-repol=-30",
    "curves": "--curves=n", "steady": "--until-steady=1e-2 --max-beats=3", "info": "--imp-info", "lists": "--list-imps",
}
#: What names the model itself, and what fits the plain model only.
INSTEAD_OF_IMP = {"load-module", "model"}
ALONE = {*INSTEAD_OF_IMP, "restore", "read-ini-file"}
#: What parse() turns into --backend, and what asks for less where there is nothing more.
ELSEWHERE = {"target", "quiet"}
ASKED = {"help", "detailed-help", "full-help", "version"}


class Watched(Options):
    """Options that know which of them somebody asked for."""

    read: ClassVar[set[str]] = set()

    def __getitem__(self, name):
        self.read.add(name)
        return super().__getitem__(name)

    def given(self, name):
        self.read.add(name)
        return super().given(name)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in {"tiny.model": MODEL, "signal": "0 0\n3 1\n5 0\n", "cells.csv": "g\n0.1\n0.2\n",
                       "res": "1\n2\n9\n8\n6\n1\n1\n", "dyn": "0\n2\n9\n7\n1\n1\n"}.items():
        Path(name).write_text(text)
    line = "--imp=./tiny.model --duration=1 --quiet --save-file=saved.sv --save-ini-file=saved.json --classic"
    room.bench(parse(shlex.split(line)))


def words_of(name):
    """The option, and one of each that it needs."""
    names = [name]
    for each in names:
        names += [needed for needed in OPTIONS[each].needs[:1] if needed not in names]
    return [f"--{each}={VALUES[each]}" if OPTIONS[each].kind else f"--{each}" for each in names]


def line_of(mode):
    return [*(["--imp=./tiny.model"] if mode != "lists" else []), *shlex.split(MODES[mode])]


def accepted(words):
    try:
        return parse(list(dict.fromkeys(words)))
    except OptionError:
        return None


def unread(words):
    """What a run with these options does not look at; nothing where it ends in an error."""
    options = parse(list(dict.fromkeys(words)))
    values = dict(options.values)
    if not {"classic", "out"} & set(values) and options.mode != "info":
        values["out"] = Path(f"run-{len(list(Path().iterdir()))}")
    Watched.read = set()
    try:
        room.bench(Watched(values))
    except UpstrokeError:
        return set(), True
    return set(options.values) - Watched.read - ELSEWHERE, False


@pytest.mark.parametrize("mode", MODES)
def test_every_option_is_read_or_an_error(mode, capsys):
    base = line_of(mode)
    wanted = [name for name in OPTIONS if name not in ASKED and accepted([*_without(base, name), *words_of(name)])]
    assert len(wanted) > 2
    while wanted:                                           # as many as go together in each run
        line, names = base, []
        for name in wanted:
            longer = [*_without(line, name), *words_of(name)]
            if accepted(longer) and not (line != base and name in ALONE):
                line, names = longer, [*names, name]
                if name in ALONE:
                    break
        ignored, failed = unread(line)
        if failed:
            ignored = {name for name in names for word in [unread([*_without(base, name), *words_of(name)])[0]]
                       if name in word}
        assert not ignored, f"{mode}: {' '.join(sorted(ignored))}"
        wanted = [name for name in wanted if name not in names]


def _without(words, name):
    names = {f"--{name}"} | ({"--imp"} if name in INSTEAD_OF_IMP else set())
    return [word for word in words if word.partition("=")[0] not in names]


def test_every_option_has_its_place_somewhere():
    lines = [line_of(mode) for mode in MODES]
    homeless = [name for name in OPTIONS if name not in ASKED and not OPTIONS[name].refused
                and not any(accepted([*_without(line, name), *words_of(name)]) for line in lines)]
    assert homeless == []

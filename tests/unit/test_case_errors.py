"""Every way to get a case file wrong that we know of, each with its whole message.

A row replaces a piece of GOOD by another and gives the text a user then reads.
"""

from pathlib import Path

import pytest

from upstroke.case import load_case
from upstroke.errors import CaseError, ErrorList, Place, UnitError

GOOD = '''\
[mesh]
kind = "slab"
size = ["20 mm", "7 mm", "3 mm"]
dx = "0.5 mm"
fibre = [1, 0, 0]

[tissue]
surface_to_volume = "140 /mm"
waves = "lumped"

[tissue.conductivity]
intracellular = ["0.17 S/m", "0.019 S/m"]
extracellular = ["0.62 S/m", "0.24 S/m"]

[membrane]
model = "TT2"

[time]
end = "40 ms"
dt = "0.05 ms"

[[stimulus]]
box = { min = ["0 mm", "0 mm"], max = ["1 mm", "1 mm"] }
current = "35.7 uA/cm^2"
duration = "2 ms"

[watch.probes]
points.P1 = ["0 mm", "0 mm", "0 mm"]
every = "0.1 ms"
'''
MESH = GOOD[: GOOD.index("\n[tissue]")]

BROKEN = [
    ("unquoted quantity", 'dt = "0.05 ms"', 'dt = 0.05 ms   # short',
     'case.toml:20:11: Expected newline or end of document after a statement\n'
     '    dt = 0.05 ms   # short\n'
     '              ^\n'
     '  -> a quantity is text, in quotes: dt = "0.05 ms"'),
    ("unclosed string", 'model = "TT2"', 'model = "TT2',
     "case.toml:16:13: Illegal character '\\n'\n"
     '    model = "TT2\n'
     '                ^'),
    ("unclosed array", 'every = "0.1 ms"', 'every = [',
     'case.toml:29:10: Invalid value\n'
     '    every = [\n'
     '             ^'),
    ("key given twice", 'dt = "0.05 ms"', 'dt = "0.05 ms"\ndt = "0.1 ms"',
     'case.toml:21:14: Cannot overwrite a value\n'
     '    dt = "0.1 ms"\n'
     '                 ^'),
    ("table given twice", '[time]', '[mesh]',
     "case.toml:18:6: Cannot declare ('mesh',) twice\n"
     '    [mesh]\n'
     '         ^'),
    ("unknown key", 'dx =', 'dxx =',
     'case.toml:4: mesh.dxx: unknown key\n'
     "  -> did you mean 'dx'?"),
    ("unknown table", '[membrane]', '[membrain]',
     'case.toml:15: membrain: unknown table\n'
     "  -> did you mean 'membrane'?"),
    ("key in the wrong table", 'kind = "slab"', 'kind = "slab"\ndt = "1 ms"',
     'case.toml:3: mesh.dt: unknown key\n'
     '  -> it belongs in [time]'),
    ("key of another kind", 'kind = "slab"', 'kind = "slab"\nunit = "mm"',
     'case.toml:3: mesh.unit: unknown key\n'
     '  -> it belongs to kind "file"'),
    ("unknown key in an array of tables", 'duration = "2 ms"', 'duration = "2 ms"\ncurent = "1 uA/cm^2"',
     'case.toml:26: stimulus.0.curent: unknown key\n'
     "  -> did you mean 'current'?"),
    ("unknown kind", '"slab"', '"slap"',
     'case.toml:2: mesh.kind: expected one of "cable", "sheet", "slab", "grid", "ventricle", "biventricle", "file", '
     '"morphology", "sections", "network", found "slap"\n'
     "  -> did you mean 'slab'?"),
    ("kind is a number", '"slab"', '3',
     'case.toml:2: mesh.kind: expected one of "cable", "sheet", "slab", "grid", "ventricle", "biventricle", "file", '
     '"morphology", "sections", "network", found 3'),
    ("missing kind", 'kind = "slab"\n', '',
     'case.toml:1: mesh.kind: missing\n'
     '  -> add kind, one of "cable", "sheet", "slab", "grid", "ventricle", "biventricle", "file", "morphology", '
     '"sections", "network"'),
    ("missing key", 'dt = "0.05 ms"\n', '',
     'case.toml:18: time.dt: missing\n'
     '  -> add it to [time]: dt = "0.02 ms"'),
    ("missing table", '[time]\nend = "40 ms"\ndt = "0.05 ms"', '[backend]',
     'case.toml: time: missing\n'
     '  -> add a table [time] with end and dt'),
    ("a word for a table", MESH, 'mesh = "slab"\n',
     'case.toml:1: mesh: expected a table, found "slab"'),
    ("unknown word", 'dt = "0.05 ms"', 'dt = "0.05 ms"\ndiffusion = "crank-nicholson"',
     'case.toml:21: time.diffusion: expected "explicit", "crank_nicolson" or "backward_euler", '
     'found "crank-nicholson"\n'
     "  -> did you mean 'crank_nicolson'?"),
    ("unknown word far from all", 'dt = "0.05 ms"', 'dt = "0.05 ms"\nsplitting = "none"',
     'case.toml:21: time.splitting: expected "godunov", "strang", "unsplit", "implicit" or "staggered", '
     'found "none"\n  -> for example splitting = "godunov"'),
    ("no unit", '"0.05 ms"', '0.05',
     'case.toml:20: time.dt: 0.05 has no unit, expected a time\n'
     '  -> write "0.05 ms" or "0.05 s"'),
    ("no unit in the text", '"0.05 ms"', '"0.05"',
     'case.toml:20: time.dt: "0.05" has no unit, expected a time\n'
     '  -> write "0.05 ms" or "0.05 s"'),
    ("unit of another kind", '"0.05 ms"', '"0.05 mm"',
     'case.toml:20: time.dt: "0.05 mm" is a length, not a time\n'
     '  -> for example "0.02 ms"'),
    ("unit of no kind of ours", '"0.05 ms"', '"0.05 kg"',
     'case.toml:20: time.dt: "0.05 kg" is not a time\n'
     '  -> for example "0.02 ms"'),
    ("unknown unit", '"0.05 ms"', '"0.05 mss"',
     'case.toml:20: time.dt: unknown unit "mss" in "0.05 mss", expected a time\n'
     "  -> did you mean 'ms'?"),
    ("unit that cannot be read", '"0.05 ms"', '"0.05 (ms"',
     'case.toml:20: time.dt: cannot read the unit in "0.05 (ms", expected a time\n'
     '  -> for example "0.02 ms"'),
    ("not a number", '"0.05 ms"', '"short"',
     'case.toml:20: time.dt: "short" does not start with a number, expected a time\n'
     '  -> for example "0.02 ms"'),
    ("quantity not finite", '"0.05 ms"', '"nan ms"',
     'case.toml:20: time.dt: "nan ms" does not start with a number, expected a time\n'
     '  -> for example "0.02 ms"'),
    ("quantity too large", '"0.05 ms"', '"1e999 ms"',
     'case.toml:20: time.dt: "1e999 ms" is beyond the numbers a computer can hold\n'
     '  -> for example "0.02 ms"'),
    ("boolean for a quantity", '"0.05 ms"', 'true',
     'case.toml:20: time.dt: expected a time with its unit, found true\n'
     '  -> for example dt = "0.02 ms"'),
    ("array for a quantity", '"0.05 ms"', '["0.05 ms"]',
     'case.toml:20: time.dt: expected a time with its unit, found ["0.05 ms"]\n'
     '  -> for example dt = "0.02 ms"'),
    ("wrong element of an array", '"7 mm"', '"7 mmm"',
     'case.toml:3: mesh.size.1: unknown unit "mmm" in "7 mmm", expected a length\n'
     "  -> did you mean 'mm'?"),
    ("wrong element on its own line", '["20 mm", "7 mm", "3 mm"]', '[\n  "20 mm",  # x\n  "7 mm",\n  3,\n]',
     'case.toml:6: mesh.size.2: 3 has no unit, expected a length\n'
     '  -> write "3 mm" or "3 cm"'),
    ("wrong number of values", '["20 mm", "7 mm", "3 mm"]', '["20 mm", "7 mm"]',
     'case.toml:3: mesh.size: expected 3 values, found 2\n'
     '  -> for example size = ["20 mm", "7 mm", "3 mm"]'),
    ("too many values", '["0.17 S/m", "0.019 S/m"]', '["1 S/m", "1 S/m", "1 S/m", "1 S/m"]',
     'case.toml:12: tissue.conductivity.intracellular: expected 1 to 3 values, found 4\n'
     '  -> for example intracellular = ["0.17 S/m", "0.019 S/m"]'),
    ("no values", '["0 mm", "0 mm", "0 mm"]', '[]',
     'case.toml:28: watch.probes.points.P1: expected 1 to 3 values, found 0\n'
     '  -> for example points = { P1 = ["0 mm", "0 mm", "0 mm"] }'),
    ("value for an array", 'model = "TT2"', 'model = "TT2"\nflags = "EPI"',
     'case.toml:17: membrane.flags: expected an array, each a text, found "EPI"\n'
     '  -> for example flags = ["EPI"]'),
    ("number out of bounds", 'every = "0.1 ms"', 'every = "0.1 ms"\n[watch.activation]\nrepolarisation = 90',
     'case.toml:31: watch.activation.repolarisation: must be > 0 and < 1, found 90\n'
     '  -> for example repolarisation = 0.9'),
    ("number not finite", 'fibre = [1, 0, 0]', 'fibre = [nan, 0, 0]',
     'case.toml:5: mesh.fibre.0: expected a finite number, found nan'),
    ("boolean for a number", 'fibre = [1, 0, 0]', 'fibre = [true, 0, 0]',
     'case.toml:5: mesh.fibre.0: expected a number, found true\n'
     '  -> for example fibre = [1, 0, 0]'),
    ("fraction for a whole number", 'duration = "2 ms"', 'duration = "2 ms"\ncount = 2.0',
     'case.toml:26: stimulus.0.count: expected a whole number, found 2.0\n'
     '  -> for example count = 1'),
    ("text for a number", 'model = "TT2"', 'model = "TT2"\ninitial = { V = "-85 mV" }',
     'case.toml:17: membrane.initial.V: expected a number, found "-85 mV"\n'
     '  -> for example initial = { V = -85.23, m = 0.00172 }'),
    ("number for a text", '"TT2"', '2',
     'case.toml:16: membrane.model: expected a text, or the path of a .model file, found 2\n'
     '  -> for example model = "tenTusscherPanfilov"'),
    ("negative threads", '[time]', '[backend]\nthreads = -1\n[time]',
     'case.toml:19: backend.threads: must be >= 0 and <= 1024, found -1\n'
     '  -> for example threads = 0'),
    ("too many threads", '[time]', '[backend]\nthreads = 1025\n[time]',
     'case.toml:19: backend.threads: must be >= 0 and <= 1024, found 1025\n'
     '  -> for example threads = 0'),
    ("word for true or false", '[time]', '[output]\npicture = "no"\n[time]',
     'case.toml:19: output.picture: expected true or false, found "no"\n'
     '  -> for example picture = true'),
    ("zero time step", '"0.05 ms"', '"0 ms"',
     'case.toml:20: time.dt: must be > 0, found "0 ms"\n'
     '  -> for example dt = "0.02 ms"'),
    ("negative conductivity", '"0.019 S/m"', '"-0.019 S/m"',
     'case.toml:12: tissue.conductivity.intracellular.1: must be >= 0, found "-0.019 S/m"\n'
     '  -> for example intracellular = ["0.17 S/m", "0.019 S/m"]'),
    ("end not whole steps", '"40 ms"', '"40.03 ms"',
     'case.toml:19: time.end: 40.03 ms is not a whole number of steps of 0.05 ms\n'
     '  -> use "40 ms" or "40.05 ms"'),
    ("end shorter than a step", '"40 ms"', '"0.02 ms"',
     'case.toml:19: time.end: 0.02 ms is not a whole number of steps of 0.05 ms\n'
     '  -> use "0.05 ms"'),
    ("more steps than numbers", '"40 ms"', '"1e20 s"',
     'case.toml:19: time.end: 1e+23 ms has more steps of 0.05 ms than can be counted\n'
     '  -> check both units'),
    ("probe interval not whole steps", '"0.1 ms"', '"0.12 ms"',
     'case.toml:29: watch.probes.every: 0.12 ms is not a whole number of steps of 0.05 ms\n'
     '  -> use "0.1 ms" or "0.15 ms"'),
    ("snapshot interval not whole steps",
     '[watch.probes]',
     '[watch.snapshots]\n'
     'every = "0.01 ms"\n'
     '[watch.probes]',
     'case.toml:28: watch.snapshots.every: 0.01 ms is not a whole number of steps of 0.05 ms\n'
     '  -> use "0.05 ms"'),
    ("waves out of bounds", 'waves = "lumped"', 'waves = -0.5',
     'case.toml:9: tissue.waves: must be > -0.5 and <= 1, found -0.5\n'
     '  -> for example waves = "calibrated"'),
    ("a key that has another name now", 'waves = "lumped"', 'mass = "lumped"',
     "case.toml:9: tissue.mass: unknown key\n"
     "  -> mass is called waves now"),
    ("waves is an unknown word", 'waves = "lumped"', 'waves = "lump"',
     'case.toml:9: tissue.waves: expected "auto", "calibrated", "fourth_order", "lumped" or "consistent" or a number, '
     'found "lump"\n'
     "  -> did you mean 'lumped'?"),
    ("two ways of conductivity", '[tissue.conductivity]', '[tissue.conductivity]\nmonodomain = ["1 mS/cm"]',
     'case.toml:12: tissue.conductivity.monodomain: given together with intracellular or extracellular\n'
     '  -> keep one of the two ways'),
    ("no conductivity",
     'intracellular = ["0.17 S/m", "0.019 S/m"]\n'
     'extracellular = ["0.62 S/m", "0.24 S/m"]\n',
     '',
     'case.toml:11: tissue.conductivity: no conductivity given\n'
     '  -> add monodomain, or intracellular and extracellular'),
    ("half of the conductivities", 'extracellular = ["0.62 S/m", "0.24 S/m"]\n', '',
     'case.toml:12: tissue.conductivity.intracellular: given without extracellular\n'
     '  -> add extracellular, or give monodomain values instead'),
    ("unequal conductivities", ', "0.24 S/m"', '',
     'case.toml:13: tissue.conductivity.extracellular: not as many values (1) as intracellular (2)\n'
     '  -> give the same number: 1 (isotropic), 2 (along, across) or 3 (fibre, sheet, normal)'),
    ("two tables for one region",
     '[tissue.conductivity]\n',
     '[[tissue.conductivity]]\n'
     'monodomain = ["1 S/m"]\n'
     'regions = [1, "scar"]\n'
     '\n'
     '[[tissue.conductivity]]\n'
     'regions = [2, "scar"]\n',
     "case.toml:16: tissue.conductivity.1.regions: names region 'scar' a second time\n"
     '  -> name each region once'),
    ("two tables for all others",
     '[tissue.conductivity]\n',
     '[[tissue.conductivity]]\n'
     'monodomain = ["1 S/m"]\n'
     '\n'
     '[[tissue.conductivity]]\n',
     'case.toml:14: tissue.conductivity.1: a second table without regions\n'
     '  -> only one table may stand for all the others; add regions to this one'),
    ("two membranes for one region",
     '[membrane]\n',
     '[[membrane]]\nmodel = "TT2"\nregions = ["endo"]\n[[membrane]]\nregions = [1, "endo"]\n',
     "case.toml:19: membrane.1.regions: names region 'endo' a second time\n"
     '  -> name each region once'),
    ("one membrane, a region twice",
     '[membrane]\n', '[membrane]\nregions = ["endo", "endo"]\n',
     "case.toml:16: membrane.0.regions: names region 'endo' a second time\n"
     '  -> name each region once'),
    ("two membranes for all others",
     '[membrane]\n', '[[membrane]]\nmodel = "TT2"\n[[membrane]]\n',
     'case.toml:17: membrane.1: a second table without regions\n'
     '  -> only one table may stand for all the others; add regions to this one'),
    ("a mistake in the second membrane",
     '[membrane]\n', '[[membrane]]\nmodel = "TT2"\nregions = [1]\n[[membrane]]\nmodle = 1\n',
     "case.toml:19: membrane.1.modle: unknown key\n"
     "  -> did you mean 'model'?"),
    ("a parameter from two sources",
     '[membrane]\n', '[membrane]\nparameters = { GNa = 1 }\nnodal = { GNa = "gna" }\n',
     'case.toml:17: membrane.nodal.GNa: given in parameters, too\n'
     '  -> keep one of the two'),
    ("no region",
     '[membrane]\n', '[membrane]\nregions = []\n',
     'case.toml:16: membrane.regions: expected at least 1 values, found 0\n'
     '  -> for example regions = ["endo"]'),
    ("fibre of no length", 'fibre = [1, 0, 0]', 'fibre = [0, 0, 0]',
     'case.toml:5: mesh.fibre: a direction of length 0\n'
     '  -> for example fibre = [1, 0, 0]'),
    ("sheet along the fibre", 'fibre = [1, 0, 0]', 'fibre = [1, 0, 0]\nsheet = [-2, 0, 0]',
     'case.toml:6: mesh.sheet: is parallel to the fibre\n'
     '  -> give a direction that lies across it'),
    ("sheet without fibre", 'fibre = [1, 0, 0]', 'sheet = [1, 0, 0]',
     'case.toml:5: mesh.sheet: a sheet direction without a fibre direction\n'
     '  -> add fibre = [1, 0, 0]'),
    ("stimulus nowhere", 'box = { min = ["0 mm", "0 mm"], max = ["1 mm", "1 mm"] }\n', '',
     'case.toml:22: stimulus.0: says not where\n'
     '  -> add one of box, sphere, nodes, region, site'),
    ("stimulus in two places", 'duration', 'nodes = "apex"\nduration',
     'case.toml:25: stimulus.0.nodes: given together with box\n'
     '  -> keep one; use one [[stimulus]] for each place'),
    ("stimulus without strength", 'current = "35.7 uA/cm^2"\n', '',
     'case.toml:22: stimulus.0: says not how strong\n'
     '  -> add current = "35.7 uA/cm^2", or volume_current'),
    ("stimulus with two strengths", 'duration', 'volume_current = "1 uA/cm^3"\nduration',
     'case.toml:25: stimulus.0.volume_current: given together with current\n'
     '  -> keep one of the two'),
    ("strength of the wrong kind", '"35.7 uA/cm^2"', '"35.7 pA/pF"',
     'case.toml:24: stimulus.0.current: "35.7 pA/pF" is not a current per area\n'
     '  -> for example "35.7 uA/cm^2"'),
    ("train without period", 'duration', 'count = 5\nduration',
     'case.toml:25: stimulus.0.count: 5 pulses without a period\n'
     '  -> add period = "500 ms"'),
    ("pulses overlap", 'duration', 'period = "1 ms"\nduration',
     'case.toml:25: stimulus.0.period: 1 ms is shorter than the pulse of 2 ms\n'
     '  -> make the period longer or the duration shorter'),
    ("box inside out", 'max = ["1 mm", "1 mm"]', 'max = ["1 mm", "-1 mm"]',
     'case.toml:23: stimulus.0.box.max: lies below min along y (-0.1 cm < 0 cm)\n'
     '  -> swap the two'),
    ("corners unlike", 'max = ["1 mm", "1 mm"]', 'max = ["1 mm"]',
     'case.toml:23: stimulus.0.box.max: not as many coordinates (1) as min (2)\n'
     '  -> give both corners alike'),
    ("variable twice", 'every = "0.1 ms"', 'every = "0.1 ms"\nvariables = ["V", "m", "V"]',
     'case.toml:30: watch.probes.variables: names V 2 times\n'
     '  -> name each variable once'),
    ("no probe point", 'points.P1 = ["0 mm", "0 mm", "0 mm"]', 'points = {}',
     'case.toml:28: watch.probes.points: no point given\n'
     '  -> for example points = { P1 = ["0 mm", "0 mm", "0 mm"] }'),
    ("model file missing", '"TT2"', '"models/mine.model"',
     'case.toml:16: membrane.model: there is no file "models/mine.model"\n'
     '  -> relative paths start from the folder of the case file'),
    ("mesh file missing", MESH, '[mesh]\nkind = "file"\nfile = "haert.vtu"\nunit = "um"\n',
     'case.toml:3: mesh.file: there is no file "haert.vtu"\n'
     "  -> did you mean 'heart.vtu'?"),
    ("mesh file is a folder", MESH, '[mesh]\nkind = "file"\nfile = "."\nunit = "um"\n',
     'case.toml:3: mesh.file: "." is a folder, expected a file'),
    ("mesh file without unit", MESH, '[mesh]\nkind = "file"\nfile = "heart.vtu"\n',
     'case.toml:1: mesh.unit: missing\n'
     '  -> add it to [mesh]: unit = "um"'),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, so that messages show short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def message(*sources: object, **options: object) -> str:
    with pytest.raises(ErrorList) as caught:
        load_case(*sources, **options)   # type: ignore[arg-type]
    assert all(isinstance(error, CaseError) for error in caught.value.errors)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_the_good_case_is_good(folder: Path) -> None:
    (folder / "case.toml").write_text(GOOD)
    assert load_case("case.toml").time.dt == 0.05


@pytest.mark.parametrize(("old", "new", "expected"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_broken_case(old: str, new: str, expected: str, folder: Path) -> None:
    assert GOOD.count(old) >= 1
    (folder / "heart.vtu").write_text("")
    (folder / "case.toml").write_text(GOOD.replace(old, new, 1))
    assert message("case.toml") == expected


def test_explicit_diffusion_needs_lumped_mass(folder: Path) -> None:
    text = GOOD.replace('"lumped"', "0.5").replace('dt = "0.05 ms"', 'dt = "0.05 ms"\ndiffusion = "explicit"')
    (folder / "case.toml").write_text(text)
    assert message("case.toml") == (
        'case.toml:21: time.diffusion: "explicit" needs a lumped mass, but tissue.waves is 0.5\n'
        '  -> set tissue.waves = "calibrated" or "lumped", or diffusion = "crank_nicolson"')


def test_unsplit_steps_are_explicit(folder: Path) -> None:
    (folder / "case.toml").write_text(GOOD.replace('dt = "0.05 ms"', 'dt = "0.05 ms"\nsplitting = "unsplit"'))
    assert message("case.toml") == (
        'case.toml:21: time.splitting: "unsplit" steps are explicit, but diffusion is "crank_nicolson"\n'
        '  -> set time.diffusion = "explicit" (and tissue.waves = "calibrated"), or take another splitting')


CABLE = """[mesh]
kind = "cable"
length = "10 mm"
dx = "0.1 mm"

"""


@pytest.mark.parametrize("old, new, error", [
    ('\nsplitting = "implicit"', '\nsplitting = "implicit"\ndiffusion = "explicit"',
     'case.toml:21: time.diffusion: "explicit" does nothing with splitting = "implicit", which has a scheme of its own '
     "for V\n  -> remove time.diffusion, or take another splitting"),
    ('\nsplitting = "implicit"', '\nsplitting = "staggered"\ndiffusion = "backward_euler"',
     'case.toml:21: time.diffusion: "backward_euler" does nothing with splitting = "staggered", which has a scheme of '
     "its own for V\n  -> remove time.diffusion, or take another splitting"),
    ('"lumped"', '"auto"',
     'case.toml:20: time.splitting: "implicit" needs a lumped mass, one compartment to a node, but tissue.waves is '
     "'auto'\n  -> set tissue.waves = \"lumped\", or take splitting = \"strang\""),
    (CABLE, '[mesh]\nkind = "sheet"\nsize = ["2 mm", "2 mm"]\ndx = "0.1 mm"\n\n',
     'case.toml:20: time.splitting: "implicit" solves on cables and trees, and the mesh is a sheet\n'
     '  -> take splitting = "strang" or "godunov"'),
    ("[time]", '[solver]\nmethod = "cg"\n\n[time]',
     'case.toml:18: solver.method: "cg" does nothing with splitting = "implicit", which eliminates along the branches\n'
     "  -> remove solver.method, or take another splitting"),
    ('model = "TT2"', 'model = "TT2"\nmethod = { V = "rk2" }',
     'case.toml:16: membrane.0.method.V: a method of V does nothing with splitting = "implicit", which solves for V\n'
     "  -> remove it, or take another splitting"),
], ids=["explicit", "other scheme", "mass", "sheet", "solver", "method of V"])
def test_implicit_splittings(old: str, new: str, error: str, folder: Path) -> None:
    good = CABLE + GOOD[GOOD.index("[tissue]"):].replace('dt = "0.05 ms"', 'dt = "0.05 ms"\nsplitting = "implicit"')
    assert good.count(old) == 1
    (folder / "case.toml").write_text(good)
    load_case("case.toml")
    (folder / "case.toml").write_text(good.replace(old, new))
    assert message("case.toml") == error


@pytest.mark.parametrize("waves", ["calibrated", "fourth_order"])
def test_corrections_have_their_own_stencil(waves: str, folder: Path) -> None:
    text = GOOD.replace('"lumped"', f'"{waves}"')
    begin, end = text.index("[mesh]"), text.index("[tissue]")
    (folder / "case.toml").write_text(f"""{text[:begin]}[mesh]
kind = "grid"
size = ["2 mm", "2 mm"]
dx = "0.2 mm"
stencil = "full"

{text[end:]}""")
    assert message("case.toml") == (
        f'case.toml:5: mesh.stencil: "full" does nothing with tissue.waves = "{waves}", which has a stencil of its '
        "own\n  -> remove mesh.stencil")


def test_explicit_diffusion_has_no_solver(folder: Path) -> None:
    text = GOOD.replace('dt = "0.05 ms"', 'dt = "0.05 ms"\ndiffusion = "explicit"\n\n[solver]\nmethod = "tree"')
    (folder / "case.toml").write_text(text)
    assert message("case.toml") == (
        'case.toml:24: solver.method: "tree" has nothing to solve with time.diffusion = "explicit"\n'
        '  -> remove solver.method, or set time.diffusion = "crank_nicolson"')


BROKEN_FILES = sorted((Path(__file__).parents[1] / "cases" / "broken").glob("*.toml"))


@pytest.mark.parametrize("file", BROKEN_FILES, ids=lambda file: file.stem)
def test_broken_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole files, with many mistakes at once; the text expected lies beside each."""
    monkeypatch.chdir(file.parent)
    assert message(file.name) == file.with_suffix(".txt").read_text().rstrip("\n")


def test_there_are_broken_files() -> None:
    assert len(BROKEN_FILES) >= 3


# ------------------------------------------------------------------------------------- files and overrides
def test_no_such_file(folder: Path) -> None:
    (folder / "niederer").mkdir()
    assert message("nieder") == "nieder: there is no such file or folder\n  -> did you mean 'niederer'?"
    assert message("elsewhere/x.toml") == ("elsewhere/x.toml: there is no such file or folder\n"
                                           "  -> name a folder with a case.toml, or a case file")
    assert message("a\0b") == ("a\0b: there is no such file or folder\n"
                               "  -> name a folder with a case.toml, or a case file")


def test_folder_without_a_case(folder: Path) -> None:
    (folder / "empty").mkdir()
    assert message("empty") == "empty: this folder has no case.toml"
    (folder / "empty" / "slab.toml").write_text(GOOD)
    assert message("empty") == "empty: this folder has no case.toml\n  -> name the file: empty/slab.toml"


def test_not_utf8(folder: Path) -> None:
    (folder / "case.toml").write_bytes(b'title = "caf\xe9"')
    assert message("case.toml") == "case.toml: is not UTF-8 text (byte 12)\n  -> save the file as UTF-8"


def test_syntax_errors_of_several_files_come_together(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.toml").write_text("x = [1, 2\n\n")
    assert message("a.toml", "b.toml") == ("a.toml:1:10: Unclosed array\n    x = [1, 2\n             ^\n"
                                           "b.toml:1:10: Unclosed array\n    x = [1, 2\n             ^")


@pytest.mark.parametrize(("override", "expected"), [
    ("time.dt", "--set time.dt: expected KEY=VALUE\n  -> for example --set time.dt=\"0.01 ms\""),
    ("=3", "--set =3: expected KEY=VALUE\n  -> for example --set time.dt=\"0.01 ms\""),
    ("time dt=3", "--set time dt=3: expected KEY=VALUE\n  -> for example --set time.dt=\"0.01 ms\""),
    ("time.dt.x=3", "--set time.dt.x=3: time.dt.x: time.dt is a value, not a table\n"
                    "  -> for example --set time.dt=..."),
    ("tme.dt=1 ms", "--set tme.dt=1 ms: tme: unknown table\n  -> did you mean 'time'?"),
    ("time.dtt=1 ms", "--set time.dtt=1 ms: time.dtt: unknown key\n  -> did you mean 'dt'?"),
    ("time.dt=1", "--set time.dt=1: time.dt: 1 has no unit, expected a time\n  -> write \"1 ms\" or \"1 s\""),
    ("stimulus.1.start=1 ms", "--set stimulus.1.start=1 ms: stimulus.1: stimulus is an array of 1\n"
                              "  -> name one by its number, stimulus.0"),
    ("stimulus.start=1 ms", "--set stimulus.start=1 ms: stimulus.start: stimulus is an array of 1\n"
                            "  -> name one by its number, stimulus.0"),
    ("mesh.size.3=1 mm", "--set mesh.size.3=1 mm: mesh.size.3: mesh.size is an array of 3\n"
                         "  -> name one by its number, mesh.size.0 to mesh.size.2"),
])
def test_broken_override(override: str, expected: str, folder: Path) -> None:
    (folder / "case.toml").write_text(GOOD)
    assert message("case.toml", overrides=[override]) == expected


@pytest.mark.parametrize(("word", "remedy"), [
    ("gpu", "the GPU is 'cuda'"), ("GPU:0", "the GPU is 'cuda'"), ("cdua", "did you mean 'cuda'?"),
    ("cuda:1", "take 'cuda', and choose one of several GPUs with the environment variable CUDA_VISIBLE_DEVICES"),
])
def test_devices_of_other_programs(word: str, remedy: str, folder: Path) -> None:
    (folder / "case.toml").write_text(GOOD)
    override = f'backend.device="{word}"'
    assert message("case.toml", overrides=[override]) == (
        f'--set {override}: backend.device: expected "auto", "cpu" or "cuda", found "{word}"\n  -> {remedy}')


@pytest.mark.parametrize(("word", "meant"), [
    ("double", "fp64"), ("float64", "fp64"), ("single", "fp32"), ("float32", "fp32"), ("mixd", "mixed"),
])
def test_precisions_of_other_programs(word: str, meant: str, folder: Path) -> None:
    (folder / "case.toml").write_text(GOOD)
    override = f'backend.precision="{word}"'
    assert message("case.toml", overrides=[override]) == (
        f'--set {override}: backend.precision: expected "fp64", "fp32" or "mixed", found "{word}"\n'
        f"  -> did you mean '{meant}'?")


def test_a_wrong_dictionary() -> None:
    assert message({"time": {"dt": 0.1}}).splitlines()[:5] == [
        "case: mesh: missing", "  -> add a table [mesh] with kind",
        "case: membrane: missing", "  -> add a table [membrane] with model",
        'case: time.end: missing']


def test_errors_carry_their_place_and_class(folder: Path) -> None:
    (folder / "case.toml").write_text(GOOD.replace('"0.05 ms"', "0.05"))
    with pytest.raises(ErrorList) as caught:
        load_case("case.toml")
    (error,) = caught.value.errors
    assert isinstance(error, UnitError)
    assert error.where == Place("case.toml", 20)
    assert error.what == "time.dt: 0.05 has no unit, expected a time"


@pytest.mark.parametrize("text", ["a = " + "[" * 3000, "a = " + "9" * 5000, "a = 1979-05-27 07:32:00", "\ufeffb = 1",
                                  "threads = 1" + "0" * 400, 'mesh = {file = "~nobody\\u0000/x", kind = "file"}'])
def test_nothing_gives_a_traceback(text: str, folder: Path) -> None:
    (folder / "case.toml").write_text(text)
    assert message("case.toml").startswith("case.toml")

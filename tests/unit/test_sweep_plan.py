"""Studies: what their files mean, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import CABLE

from upstroke.errors import UpstrokeError
from upstroke.sweep.plan import Plan, read_plan


def plan(folder: Path, study: str, *overrides: str) -> Plan:
    (folder / "case.toml").write_text(CABLE)
    (folder / "study.toml").write_text(study)
    return read_plan(folder, overrides)


def mistake(folder: Path, study: str) -> str:
    with pytest.raises(UpstrokeError) as error:
        plan(folder, study)
    return str(error.value).replace(f"{folder}/", "")


def test_grids_have_all_combinations(tmp_path: Path) -> None:
    made = plan(tmp_path, """
case = "."
[grid]
time.dt = ["0.1 ms", "0.05 ms"]
"membrane.parameters.tau_in" = [0.3, 0.4]
""")
    assert made.keys == ("time.dt", "membrane.parameters.tau_in")
    assert [tuple(member.values()) for member in made.members] == [
        ("0.1 ms", 0.3), ("0.1 ms", 0.4), ("0.05 ms", 0.3), ("0.05 ms", 0.4)]
    assert made.case(3).time.dt == 0.05 and made.case(3).membrane[0].parameters == {"tau_in": 0.4}
    assert made.name == tmp_path.name


def test_lists_go_side_by_side_and_combine_with_grids(tmp_path: Path) -> None:
    made = plan(tmp_path, """
case = "case.toml"
[list]
mesh.dx = ["0.1 mm", "0.2 mm"]
time.dt = ["0.05 ms", "0.1 ms"]
[grid]
stimulus.0.current = ["40 uA/cm^2", "50 uA/cm^2", "60 uA/cm^2"]
""", "time.end=5 ms")
    assert len(made.members) == 6
    cases = [made.case(k) for k in range(6)]
    assert {(case.mesh.dx, case.time.dt) for case in cases} == {(0.01, 0.05), (0.02, 0.1)}
    assert {case.time.end for case in cases} == {5.0}


def test_latin_hypercubes_have_one_point_in_every_stratum(tmp_path: Path) -> None:
    made = plan(tmp_path, """
case = "."
[sample]
count = 8
seed = 3
tissue.surface_to_volume = { low = "100 /mm", high = "180 /mm" }
membrane.parameters.tau_in = { low = 0.1, high = 10.0, scale = "log" }
stimulus.0.count = { low = 1, high = 4 }
stimulus.0.period = { low = "3 ms", high = "4 ms" }
""")
    ratio = [float(member["tissue.surface_to_volume"].split()[0]) for member in made.members]
    assert sorted(int((value - 100.0) / 10.0) for value in ratio) == list(range(8))
    tau = [member["membrane.parameters.tau_in"] for member in made.members]
    assert sum(value < 1.0 for value in tau) == 4
    assert sorted(member["stimulus.0.count"] for member in made.members) == [1, 1, 2, 2, 3, 3, 4, 4]
    again = plan(tmp_path, (tmp_path / "study.toml").read_text())
    assert again.members == made.members
    assert plan(tmp_path, (tmp_path / "study.toml").read_text().replace("seed = 3", "seed = 4")).members != made.members


def test_tables_are_files(tmp_path: Path) -> None:
    (tmp_path / "members.csv").write_text("time.dt,output.picture,membrane.flags\n0.1 ms,false,\n0.05 ms,true,\n")
    with pytest.raises(UpstrokeError):
        plan(tmp_path, 'case = "."\n[table]\nfile = "members.csv"\n')           # flags are no text
    (tmp_path / "members.csv").write_text("time.dt,output.picture,time.reaction_steps\n"
                                          "0.1 ms,false,2\n0.05 ms,true,1\n")
    made = plan(tmp_path, 'case = "."\n[table]\nfile = "members.csv"\n')
    assert [dict(member) for member in made.members] == [
        {"time.dt": "0.1 ms", "output.picture": False, "time.reaction_steps": 2},
        {"time.dt": "0.05 ms", "output.picture": True, "time.reaction_steps": 1}]
    assert made.describe() == ('0  time.dt = "0.1 ms", output.picture = false, time.reaction_steps = 2\n'
                               '1  time.dt = "0.05 ms", output.picture = true, time.reaction_steps = 1')


@pytest.mark.parametrize(("study", "said"), [
    ('case = "."\n', "study.toml: varies nothing\n  -> add a table [grid], [list], [sample] or [table]; for one run "
     "there is `upstroke run`"),
    ('[grid]\ntime.dt = ["0.1 ms"]\n', "study.toml: case: missing\n  -> add it at the top: case = \"../niederer\""),
    ('case = "."\n[set]\ntime.dt = "0.1 ms"\n[grid]\ntime.dt = ["0.1 ms"]\n', "study.toml:2: set: unknown table\n"
     "  -> known: case, gather, grid, list, run, sample, table, title"),
    ('case = "."\n[gird]\ntime.dt = ["0.1 ms"]\n', "study.toml:2: gird: unknown table\n  -> did you mean 'grid'?"),
    ('case = "."\n[lits]\ntime.dt = ["0.1 ms"]\n[rnu]\nworkers = 2\n',
     "study.toml:2: lits: unknown table\n  -> did you mean 'list'?\n"
     "study.toml:4: rnu: unknown table\n  -> did you mean 'run'?"),
    ('case = "."\n[grid]\ntime.dt = "0.1 ms"\n', "study.toml:3: grid.time.dt: expected a list of values\n"
     '  -> for example dt = ["0.1 mm", "0.2 mm"]'),
    ('case = "."\n[grid]\n', "study.toml:2: expected keys of the case and their values\n"
     '  -> for example time.dt = ["0.01 ms", "0.02 ms"]'),
    ('case = "."\n[grid]\ntime.dt = ["0.1 ms"]\n[list]\ntime.dt = ["0.1 ms"]\n',
     "study.toml: time.dt is varied twice\n  -> keep one of the two"),
    ('case = "."\n[list]\ntime.dt = ["0.1 ms"]\ntime.end = ["5 ms", "6 ms"]\n',
     "study.toml:2: list: time.dt has 1, time.end has 2\n  -> lists that are taken side by side have one length; "
     "combinations are made by [grid]"),
    ('case = "."\n[sample]\ntime.dt = { low = "0.1 ms", high = "0.2 ms" }\n',
     "study.toml:2: sample.count: missing\n  -> add count = 64"),
    ('case = "."\n[sample]\ncount = 0\ntime.dt = { low = "0.1 ms", high = "0.2 ms" }\n',
     "study.toml:3: sample.count: expected a whole number from 1 to 1,000,000\n  -> for example count = 64"),
    ('case = "."\n[sample]\ncount = 1000000000000\ntime.dt = { low = "0.1 ms", high = "0.2 ms" }\n',
     "study.toml:3: sample.count: expected a whole number from 1 to 1,000,000\n  -> for example count = 64"),
    (f'case = "."\n[sample]\ncount = 2\nseed = {2 ** 64}\ntime.dt = {{ low = "0.1 ms", high = "0.2 ms" }}\n',
     "study.toml:4: sample.seed: expected a whole number from 0 to 9,223,372,036,854,775,807\n"
     "  -> for example seed = 64"),
    ('case = "."\n[sample]\ncount = 2\ntime.dt = { low = "0.1 ms", high = "0.2 s" }\n',
     "study.toml:4: sample.time.dt: low and high are no numbers of one unit\n"
     '  -> for example { low = "0.1 S/m", high = "0.3 S/m" }'),
    ('case = "."\n[sample]\ncount = 2\ntime.dt = { low = "0.2 ms", high = "0.1 ms" }\n',
     'study.toml:4: sample.time.dt: low is not below high\n  -> for example { low = "0.1 S/m", high = "0.3 S/m" }'),
    ('case = "."\n[sample]\ncount = 2\ntime.dt = { low = "0.1 ms", high = "0.2 ms", scale = "ln" }\n',
     "study.toml:4: sample.time.dt: scale is 'ln'\n  -> take 'linear' or 'log'"),
    ('case = "."\n[sample]\ncount = 2\ntime.dt = { low = 0, high = 1, scale = "log" }\n',
     'study.toml:4: sample.time.dt: a log scale needs a low above 0\n  -> or take scale = "linear"'),
    ('case = "."\n[sample]\ncount = 2\ntime.dt = { low = "0.1 ms", high = "0.2 ms", scael = "log" }\n',
     "study.toml:4: sample.time.dt: unknown key 'scael'\n  -> did you mean 'scale'?"),
    ('case = "."\n[sample]\ncount = 2\ntime.dt = ["0.1 ms"]\n',
     'study.toml:4: sample.time.dt: expected a range\n  -> for example { low = "0.1 S/m", high = "0.3 S/m" }'),
    ('case = "."\n[table]\nfile = "no.csv"\n', "study.toml:3: table.file: there is no file 'no.csv'\n"
     "  -> relative paths start from the folder of the study"),
    ('case = "."\n[table]\nfile = "stdy.toml"\n',
     "study.toml:3: table.file: there is no file 'stdy.toml'\n  -> did you mean 'study.toml'?"),
    ('case = "."\n[table]\nfile = "."\n', "study.toml:3: table.file: '.' cannot be read: Is a directory\n"
     "  -> name a file of comma-separated values"),
    ('case = "."\n[table]\nfile = "\\u0000"\n', "study.toml:3: table.file: '\\x00' is no text of comma-separated "
     "values\n  -> save it as CSV in UTF-8"),
    ('case = "."\n[table]\nfiles = "no.csv"\n', "study.toml:2: table: expected one key, file\n"
     '  -> for example file = "members.csv"'),
    ('case = "."\n[grid]\ntime.dt = ["0.1 ms", "0.1"]\n', 'study.toml: time.dt="0.1": time.dt: '),
    ('case = "."\n[grid]\ntime.dtt = ["0.1 ms"]\n',
     "study.toml: time.dtt=\"0.1 ms\": time.dtt: unknown key\n  -> did you mean 'dt'?"),
    ('case = "nowhere"\n[grid]\ntime.dt = ["0.1 ms"]\n', "there is no such file or folder"),
    ('case = "."\n[grid]\n' + "".join(f'stimulus.{k}.start = [{", ".join(["1"] * 1001)}]\n' for k in range(2)),
     "study.toml: makes 1,002,001 members, more than the 1,000,000 that are sensible\n"
     "  -> vary less, or take a [sample]"),
])
def test_mistakes(tmp_path: Path, study: str, said: str) -> None:
    assert said in mistake(tmp_path, study)


def test_a_folder_without_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "case.toml").touch()
    for name, said in (("empty", "empty: this folder has no study.toml"),
                       ("case", "case: this folder has no study.toml"),
                       ("nowhere", "nowhere: there is no such file or folder\n"
                        "  -> name a folder with a study.toml, or a study file")):
        with pytest.raises(UpstrokeError) as error:
            read_plan(Path(name))
        assert str(error.value) == said


def test_a_table_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(bytes(range(128, 256)))
    assert mistake(tmp_path, 'case = "."\n[table]\nfile = "m.csv"\n') == (
        "study.toml:3: table.file: 'm.csv' is no text of comma-separated values\n  -> save it as CSV in UTF-8")


def test_tables_with_holes(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("time.dt,time.end\n0.1 ms\n")
    assert mistake(tmp_path, 'case = "."\n[table]\nfile = "m.csv"\n') == (
        "study.toml:3: table.file: line 2 of 'm.csv' has 1 cells for 2 keys\n"
        "  -> give every member a value of every key")
    (tmp_path / "m.csv").write_text("time.dt\n")
    assert mistake(tmp_path, 'case = "."\n[table]\nfile = "m.csv"\n') == (
        "study.toml:3: table.file: 'm.csv' has no members\n  -> its first line names keys of the case, every other is "
        "a member")


def test_batches_are_whole_numbers_or_auto(tmp_path: Path) -> None:
    study = 'case = "."\n[run]\nbatch = {}\n[grid]\ntime.dt = ["0.1 ms", "0.05 ms"]\n'
    assert plan(tmp_path, study.format('"auto"')).study.run.batch == "auto"
    assert plan(tmp_path, study.format(16)).study.run.batch == 16
    assert mistake(tmp_path, study.format(0)) == (
        "study.toml:3: run.batch: must be >= 1, found 0\n  -> for example batch = 16")
    assert mistake(tmp_path, study.format('"lots"')) == (
        'study.toml:3: run.batch: expected a whole number or "auto", found "lots"\n  -> for example batch = 16')
    assert mistake(tmp_path, study.format(2.5)) == (
        'study.toml:3: run.batch: expected a whole number or "auto", found 2.5\n  -> for example batch = 16')

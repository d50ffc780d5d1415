"""What the pages say is so: links lead somewhere, cases load, commands parse, snippets import, tables are complete."""

import argparse
import ast
import importlib
import re
import runpy
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest

from upstroke.bench import options as bench
from upstroke.case import load_case
from upstroke.case.schema import CableMesh
from upstroke.cli.parser import make_parser
from upstroke.ionic import shipped_models, shipped_plugins
from upstroke.mesh import build_mesh
from upstroke.observe import ActivationMap
from upstroke.output.manifest import start_manifest
from upstroke.output.maps import cell_data, point_data
from upstroke.output.summary import summarise

ROOT = Path(__file__).parents[2]
PAGES = sorted(page for where in ("*.md", "docs/*.md", "cases/**/*.md", "benchmarks/**/*.md")
               for page in ROOT.glob(where))
CASES = sorted(file.parent for file in ROOT.glob("cases/*/case.toml"))
WHOLE = {"mesh", "tissue", "membrane", "time"}      # a TOML block with these tables is a whole case
LAUNCH = re.compile(r"^(?:\$ )?(?:sh scripts/upstroke\.sh|upstroke) +([a-z].*)$")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page, language=None):
    """The fenced code blocks of a page, of one language or of all."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for name, text in found if language in (None, name)]


def prose(page):
    """A page without its fenced code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def snippets(page):
    """The inline code of a page, without its line breaks."""
    return [" ".join(text.split()) for text in re.findall(r"`([^`]+)`", prose(page))]


def commands(page):
    """The arguments of every `upstroke` command in the code blocks of a page, fenced or indented, and in its text."""
    lines = [line for block in blocks(page) for line in block.splitlines()]
    lines += [line.strip() for line in prose(page).splitlines() if line.startswith("    ")]
    lines += [text for text in snippets(page) if "[" not in text]          # `run CASE [--out DIR]` is a synopsis
    found = [LAUNCH.match(line) for line in lines]
    return [shlex.split(match[1], comments=True) for match in found if match]


def verbs():
    actions = make_parser()._actions
    return next(action.choices for action in actions if isinstance(action, argparse._SubParsersAction))


def test_there_are_pages_and_they_hold_what_is_tested_here():
    assert {"README.md", "docs/results.md", "cases/axon/README.md"} <= {str(p.relative_to(ROOT)) for p in PAGES}
    assert sum(len(commands(page)) for page in PAGES) > 10
    assert len(blocks(ROOT / "docs" / "results.md", "python")) > 3


@pages
def test_links_lead_somewhere(page):
    targets = [t.split("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if not re.match(r"https?:|#", t)]
    assert not [target for target in targets if not (page.parent / target).exists()]


@pages
def test_toml_blocks_are_toml_and_whole_cases_load(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "toml"):
        tables = tomllib.loads(block)
        if set(tables) >= WHOLE:
            load_case(tables)


@pages
def test_commands_parse_and_their_cases_load(page, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    for words in commands(page):
        assert words[0] in verbs(), f"upstroke {' '.join(words)}: no such verb"
        if len(words) == 1:                 # the name of a verb in a sentence
            continue
        if words[0] == "bench":             # which has rules of its own, and a page that is run as a whole
            if page.name != "bench.md":
                bench.parse(words[1:])
            continue
        try:
            arguments = make_parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"upstroke {' '.join(words)}: {capsys.readouterr().err}")
        if getattr(arguments, "case", None) and arguments.case[0].parts[0] == "cases":
            load_case(*arguments.case, overrides=arguments.set)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_overrides_that_a_case_suggests_are_accepted(case):
    for text in snippets(case / "README.md"):
        if text.startswith("--set "):
            load_case(case, overrides=make_parser().parse_args(["run", str(case), *shlex.split(text)]).set)


@pages
def test_python_blocks_are_python_and_their_names_exist(page):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            match node:
                case ast.ImportFrom(module=str(module), names=names) if module.startswith("upstroke"):
                    home = importlib.import_module(module)
                    assert all(hasattr(home, name.name) for name in names), f"{module}: {[n.name for n in names]}"
                case ast.Attribute(value=ast.Name(id="upstroke"), attr=name):
                    assert hasattr(importlib.import_module("upstroke"), name), f"upstroke.{name}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_is_listed_with_its_picture(case):
    assert f"({case.name}/" in (ROOT / "cases" / "README.md").read_text()
    gallery = (ROOT / "docs" / "gallery.md").read_text()
    assert f"cases/{case.name}\n" in gallery and f"pictures/{case.name}.png" in gallery


def test_pictures_are_small():
    assert not [p.name for p in (ROOT / "docs" / "pictures").iterdir() if p.stat().st_size > 300_000]


def test_results_page_names_every_field():
    mesh = build_mesh(CableMesh(length=1.0, dx=0.5))
    nothing = np.zeros((0, mesh.n_points))
    activation = ActivationMap(nothing, nothing, -40.0, 0.9, -80.0, -80.0)
    fields = [*summarise(mesh, activation), *start_manifest({}, {}), *point_data(activation), *cell_data(mesh), "error"]
    text = (ROOT / "docs" / "results.md").read_text()
    assert not [name for name in fields if f"`{name}`" not in text]


@pytest.mark.parametrize("case, mesh", [("scar", "sheet"), ("wall", "wall")])
def test_the_mesh_of_a_case_is_what_its_script_makes(tmp_path, case, mesh):
    runpy.run_path(str(ROOT / "cases" / case / "make_mesh.py"))[mesh](tmp_path)
    assert (tmp_path / f"{mesh}.msh").read_bytes() == (ROOT / "cases" / case / f"{mesh}.msh").read_bytes()


def test_counts_of_models_and_plugins_are_true():
    readme, peers = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/peers.md"))
    models, plugins = len(shipped_models()), len(shipped_plugins())
    assert f"# the {models} ionic models; --plugins: the {plugins} that can be added" in readme
    assert f"{models} in EasyML, own files, CellML through Myokit; {plugins} plug-ins" in peers
    assert f"EasyML, {plugins} plug-ins shipped" in peers

"""The page on the bench: every command in it is run, in order and in one folder, and prints what the page shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import upstroke
from upstroke.bench.catalogue import OPTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "bench.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
TIMING = re.compile(r"(setup time|main loop time|mn/avg/mx loop time|real time factor|cell-steps/s) ")


def commands():
    """(command, what the page shows of what it prints) of the whole page."""
    for block in BLOCKS:
        command, *rest = re.split(r"^\$ ", block, flags=re.MULTILINE)
        assert not command, "a block begins with a command"
        for text in rest:
            command, *shown = text.splitlines()
            yield command, shown


def alike(shown, printed):
    """Whether two lines say the same, with numbers that differ in the last digits only; run directories are counted."""
    shown, printed = (re.sub(r"runs/bench-\d+", "runs/bench-N", line) for line in (shown, printed))
    if TIMING.match(shown):
        return bool(TIMING.match(printed)) and TIMING.match(shown)[1] == TIMING.match(printed)[1]
    if NUMBER.sub("#", shown).split() != NUMBER.sub("#", printed).split():
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    return all(float(b) == pytest.approx(float(a), rel=0.03, abs=1e-6) for a, b in pairs)


def test_lines_are_compared_as_meant():
    assert alike("change 4.83e-4 < 0.001", "change 4.84e-4 < 0.001") and not alike("change 1 < 2", "change 1.1 < 2")
    assert alike("setup time   0.1 s", "setup time   3 s") and not alike("setup time 1 s", "main loop time 1 s")
    assert not alike("GNa 14.8", "GKr 14.8")


def test_every_command_of_the_page_prints_what_it_shows(tmp_path):
    (tmp_path / "bin").mkdir()
    launcher = tmp_path / "bin" / "upstroke"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m upstroke "$@"\n')
    launcher.chmod(0o755)
    folder = tmp_path / "work"
    folder.mkdir()
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
                   "PYTHONPATH": str(Path(upstroke.__file__).parents[1])}
    done = 0
    for command, shown in commands():
        text = subprocess.run(["sh", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=300).stdout.decode()
        printed = re.sub(r"\r[^\n]*\n", "", text).splitlines()               # without the bar of a slow machine
        row, skipping = 0, False
        for line in shown:
            if line == "...":
                skipping = True
                continue
            while skipping and row < len(printed) and not alike(line, printed[row]):
                row += 1
            assert row < len(printed) and alike(line, printed[row]), (
                f"$ {command}\nshown:   {line}\nprinted: {printed[row:row + 3]}\nof\n" + "\n".join(printed))
            row, skipping = row + 1, False
        assert skipping or row == len(printed), f"$ {command}\nprints more: {printed[row:]}"
        done += 1
    assert done > 40


def test_the_page_has_all_our_options_and_all_complaints():
    assert not [name for name, option in OPTIONS.items() if option.ours and f"--{name}" not in PAGE]
    complaints = re.findall(r"^\| (\d+)\. .* \| \[.*\]\(#(.*)\).*\|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in complaints] == list(range(1, len(complaints) + 1)) and len(complaints) >= 12
    headings = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
                for heading in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)}
    assert not [anchor for anchor in re.findall(r"\]\(#([^)]*)\)", PAGE) if anchor not in headings]

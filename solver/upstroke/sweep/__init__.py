"""``upstroke sweep``: many runs of one case, over processes, GPUs or ranks. Read `sweep` downwards.

What it leaves in its folder, so that it can be ended at any moment and go on later:

    study.json        what was asked for, by what, and how it stands
    members/0007/     the run directory of each member
    outcomes.jsonl    a line for each member that ended, as it ends
    study.csv         the table, study.png its picture
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

from upstroke.backend.cpu import available_threads
from upstroke.batch import common, why_alone
from upstroke.errors import OutputError, UpstrokeError
from upstroke.output.files import explained, plain, write_json
from upstroke.output.manifest import start_manifest
from upstroke.parallel import work_alone, world
from upstroke.sweep.gather import draw, get_ready_to_draw, numbers_of, require_writer, write_table
from upstroke.sweep.plan import Plan, read_plan
from upstroke.sweep.pools import Jobs, LocalPool, MpiPool, require_gpus
from upstroke.sweep.worker import Outcome

__all__ = ["SweepResult", "read_plan", "sweep"]

EVERY = 20.0        # seconds between two tables while members run


@dataclass(frozen=True)
class SweepResult:
    """How a study stands.

    Attributes
    ----------
    rows : of each member its number, status ("done", "failed", "missing"), seconds, values, numbers of its summary,
        error
    """

    directory: Path
    table: Path
    rows: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]

    def count(self, status: str) -> int:
        """How many members stand so."""
        return sum(row["status"] == status for row in self.rows)

    def report(self) -> str:
        """A few lines for the terminal."""
        done, failed = self.count("done"), self.count("failed")
        lines = [f"{done:,} of {len(self.rows):,} members done" + (f", {failed:,} failed" if failed else "")]
        lines += [f"failed: member {row['member']}: {row['error']}" for row in self.rows
                  if row["status"] == "failed"][:10]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, f"table in {self.table}"])


def sweep(plan: Plan, out: str | Path | None = None, *, workers: int | None = None, retry_failed: bool = False,
          show_progress: bool = False) -> SweepResult:
    """Run all members of a study that have not run yet, and gather them in a table.

    Parameters
    ----------
    plan : what `read_plan` makes of a file
    out : the study's folder, by default runs/<name>; one that holds a part of the same study is gone on with
    workers : processes, instead of the study's
    retry_failed : run failed members again
    show_progress : draw a progress bar on stderr

    Raises
    ------
    OutputError for a folder of something else, where another sweep is at work, and for a table that nothing here writes
    BackendError where there are not as many GPUs as the study asks for
    """
    folder = Path("runs") / plan.name if out is None else Path(out)
    require_writer(_table(plan, folder))
    with _pool(plan, folder, workers) as pool, _own(folder):
        journal = _Journal(folder / "outcomes.jsonl")
        start = _start(plan, folder)
        todo = _unfinished(plan, folder, journal, retry_failed)
        jobs, notes = put_together(plan, folder, todo, pool.count)
        begun = shown = perf_counter()
        get_ready_to_draw()
        busy = 0.0
        try:
            for number, outcome in _progress(pool(jobs), len(todo), show_progress):
                journal.add(number, outcome)
                busy += outcome["seconds"]
                if perf_counter() - shown > EVERY:
                    _gather(plan, folder, journal, picture=False)
                    shown = perf_counter()
        finally:
            result = _gather(plan, folder, journal, picture=True, notes=(*pool.notes, *notes))
            wall = perf_counter() - begun
            write_json(folder / "study.json", start | {
                "status": "done" if result.count("missing") == 0 else "unfinished",
                "members": {status: result.count(status) for status in ("done", "failed", "missing")},
                "this_time": {"members": len(todo), "wall_s": wall, "members_s": busy}})
    return result


# ------------------------------------------------------------------------------------------- the study's folder
@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """The folder for this process alone."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / "study.json").exists() and not (folder / ".lock").exists():
            raise OutputError(str(folder), "exists and holds no study", "give another folder: --out DIR")
        lock = (folder / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OutputError(str(folder), "another sweep is at work here", "wait for it, or give another folder: "
                              "--out DIR") from None
        yield


def _start(plan: Plan, folder: Path) -> dict[str, Any]:
    """What study.json says from the start.

    Raises
    ------
    OutputError where the folder holds another study
    """
    path = folder / "study.json"
    identity = plain({"case": plan.sources, "overrides": plan.overrides, "keys": plan.keys, "values": plan.members})
    if path.exists():
        try:
            before = json.loads(path.read_text()).get("study")
        except ValueError:
            before = None
        if before != identity:
            raise OutputError(str(folder), "holds another study, or this one with other members",
                              "give another folder: --out DIR")
    start = start_manifest({}, {})
    found = {"status": "running", "title": plan.study.title, "study": identity} | {
        key: start[key] for key in ("start", "command", "versions", "commit", "host")}
    write_json(path, found)
    return found


class _Journal:
    """Outcomes, a line each, written as they come; the last line of a member counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[int, Outcome] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    entry = json.loads(line)
                    self.outcomes[entry.pop("member")] = entry
                except (ValueError, KeyError):        # the line that a kill cut off
                    continue

    def add(self, number: int, outcome: Outcome) -> None:
        self.outcomes[number] = outcome
        with explained(self.path), self.path.open("a") as file:
            file.write(("" if self._whole() else "\n") + json.dumps({"member": number, **outcome}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _whole(self) -> bool:
        """Whether the last line was written to its end."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            return True
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"


def member_folder(folder: Path, number: int) -> Path:
    """Where a member's results are."""
    return folder / "members" / f"{number:04d}"


def _table(plan: Plan, folder: Path) -> Path:
    return folder / f"study.{plan.study.gather.format}"


def _status(plan: Plan, folder: Path, journal: _Journal, number: int) -> str:
    """"done" where the manifest says so, "failed" where the journal does, else "missing"."""
    try:
        manifest = json.loads((member_folder(folder, number) / "manifest.json").read_text())
    except (OSError, ValueError):
        manifest = {}
    if manifest.get("status") == "done" and (member_folder(folder, number) / "summary.json").exists():
        return "done"
    return "failed" if journal.outcomes.get(number, {}).get("status") == "failed" else "missing"


def _unfinished(plan: Plan, folder: Path, journal: _Journal, retry_failed: bool) -> list[int]:
    """The members to run; what an ended sweep left of them half done is removed."""
    todo = [number for number in range(len(plan.members))
            if _status(plan, folder, journal, number) in (("missing", "failed") if retry_failed else ("missing",))]
    for number in todo:
        journal.outcomes.pop(number, None)
        if (there := member_folder(folder, number)).exists():
            with explained(there):
                shutil.rmtree(there)
    return todo


# ------------------------------------------------------------------------------------------------- the members
@contextmanager
def _pool(plan: Plan, folder: Path, workers: int | None) -> Iterator[LocalPool | MpiPool]:
    """The ranks of an MPI job where this is one, else processes."""
    run = plan.study.run
    comm = world()
    if comm is not None:
        from mpi4py.futures import MPICommExecutor

        work_alone()
        with MPICommExecutor(comm) as executor:
            if executor is not None:
                yield MpiPool(executor, comm.size - 1, [name for name in ("workers", "gpus", "time_limit")
                                                        if getattr(run, name)])
                return
        raise SystemExit(0)                          # a rank that works; it has done so when it gets here
    require_gpus(run.gpus, f"{plan.file}: run.gpus")
    count = (run.workers if workers is None else workers) or run.gpus or max(1, available_threads() // run.threads)
    yield LocalPool(min(count, len(plan.members)), run.gpus, folder / "workers.log",
                    None if run.time_limit is None else run.time_limit / 1000.0)


def _tasks(plan: Plan, folder: Path, numbers: list[int]) -> dict[int, dict[str, Any]]:
    """What a worker needs to know of each member."""
    own = plan.case(0).backend.threads
    threads = () if own else (f"backend.threads={plan.study.run.threads}",)
    return {number: {"sources": plan.sources, "overrides": (*threads, *plan.settings(number)),
                     "out": str(member_folder(folder, number))} for number in numbers}


def put_together(plan: Plan, folder: Path, numbers: list[int], workers: int) -> tuple[Jobs, list[str]]:
    """The members, those together that may be run as one; and notes on those that may not, where it is wanted."""
    tasks, batch = _tasks(plan, folder, numbers), plan.study.run.batch
    if batch == 1 or not numbers:
        return Jobs(tasks, [(number,) for number in numbers]), []
    alone, alike = defaultdict(list), defaultdict(list)
    for number in numbers:
        try:
            case = plan.case(number)
        except UpstrokeError:                        # its run tells what is wrong
            alike[f"member {number}"].append(number)
            continue
        if why := why_alone(case):
            alone[why].append(number)
        else:
            alike[common(case)].append(number)
    share = -(-len(numbers) // workers)              # so that every worker has something to do
    most = share if batch == "auto" else min(share, batch)
    single = [of[0] for of in alike.values() if len(of) == 1]
    notes = [f"{_members(of)} not batched: {why}" for why, of in alone.items()] + (
        [f"{_members(single)} not batched: no other has the same mesh, model, numerics and [watch]"] if single else [])
    parts = [part for of in alike.values() for part in _even(of, most)]
    return Jobs(tasks, [*parts, *((number,) for of in alone.values() for number in of)],
                None if batch == "auto" else batch), notes


def _even(numbers: list[int], most: int) -> list[list[int]]:
    """Parts of at most so many, of nearly one length."""
    count = -(-len(numbers) // most)
    edges = [len(numbers) * k // count for k in range(count + 1)]
    return [numbers[low:high] for low, high in pairwise(edges)]


def _members(numbers: list[int]) -> str:
    """The members, in words."""
    shown = ", ".join(str(number) for number in numbers[:5]) + (", ..." if len(numbers) > 5 else "")
    return f"member {shown} is" if len(numbers) == 1 else f"{len(numbers):,} members ({shown}) are"


def _progress(outcomes: Iterator[tuple[int, Outcome]], total: int, show: bool) -> Iterator[tuple[int, Outcome]]:
    if not show:
        yield from outcomes
        return
    from tqdm import tqdm

    failed = 0
    with tqdm(total=total, unit="member", dynamic_ncols=True) as bar:
        for number, outcome in outcomes:
            failed += outcome["status"] == "failed"
            bar.set_postfix_str(f"{failed} failed" if failed else "", refresh=False)
            bar.update()
            yield number, outcome


def _gather(plan: Plan, folder: Path, journal: _Journal, *, picture: bool, notes: Sequence[str] = ()) -> SweepResult:
    rows = []
    for number, values in enumerate(plan.members):
        status, outcome = _status(plan, folder, journal, number), journal.outcomes.get(number, {})
        rows.append({"member": number, "status": status, "values": values, "seconds": outcome.get("seconds"),
                     "error": outcome.get("error", "") if status == "failed" else "",
                     "numbers": numbers_of(member_folder(folder, number) / "summary.json") if status == "done" else {}})
    table = _table(plan, folder)
    write_table(table, plan.keys, rows)
    note = draw(folder / "study.png", plan.study.title or plan.name, plan.keys, rows,
                plan.study.gather.plot) if picture else ""
    return SweepResult(folder, table, tuple(rows), (*notes, note) if note else tuple(notes))

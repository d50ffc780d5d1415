"""Who runs the members: processes of this machine, or the ranks of an MPI job. Both tell outcomes as they come.

A pool is called with tasks and the jobs that they are put together in, and yields (number, outcome); a member that
fails, or whose process dies, is an outcome. A job of several that breaks is run again in parts.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upstroke.batch import halves
from upstroke.errors import BackendError
from upstroke.sweep.worker import Answer, Outcome, run_job

Task = Mapping[str, Any]
Job = Sequence[int]                 # members that go together
ANSWER = 10.0        # seconds in which a worker that is told to end writes what it has


@dataclass(frozen=True)
class Jobs:
    """The members to run.

    Attributes
    ----------
    tasks : of each member
    together : their numbers, put together in jobs
    most : how many a worker may run as one; None: as many as fit into its device
    """

    tasks: Mapping[int, Task]
    together: Iterable[Job]
    most: int | None = 1

    def order(self, job: Job) -> dict[str, Any]:
        """What a worker is told."""
        return {"members": [[number, dict(self.tasks[number])] for number in job], "most": self.most}


def broken(job: Job, error: str, seconds: float) -> Answer:
    """A job that nobody answered: run again in halves, or a member that has failed."""
    if len(job) > 1:
        return {"done": [], "again": halves(job)}
    return {"done": [[job[0], {"status": "failed", "error": error, "seconds": round(seconds, 3)}]], "again": []}


@dataclass
class _Worker:
    """A process that takes one job after the other; started when it is first needed, and again when it died."""

    environment: Mapping[str, str]
    log: Path
    time_limit: float | None
    process: subprocess.Popen[str] | None = None

    def run(self, jobs: Jobs, job: Job) -> Answer:
        """``time_limit`` (s) is of each member: several that go together have as long as one after the other."""
        start = time.perf_counter()
        process = self.process or self._start()
        late = threading.Event()

        def end() -> None:
            late.set()
            self.ask()
            self.wait()

        timer = threading.Timer(self.time_limit * len(job), end) if self.time_limit is not None else None
        if timer is not None:
            timer.start()
        try:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(jobs.order(job)) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        finally:
            if timer is not None:
                timer.cancel()
        if line and not late.is_set():
            return dict(json.loads(line))
        self.process = None
        code = process.wait()
        _close(process)
        error = (f"took longer than the time limit of {self.time_limit:g} s" if late.is_set() else
                 f"its process died: {_said(code)}; see {self.log.name}")
        return broken(job, error, time.perf_counter() - start)

    def _start(self) -> subprocess.Popen[str]:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from upstroke.sweep.worker import main; main()"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **self.environment},
                start_new_session=True)
        return self.process

    def ask(self) -> None:
        """Ask the process to close its files and end, once."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self) -> None:
        """Until the process has ended, as asked; one that does not is killed."""
        if self.process is None:
            return
        try:
            self.process.wait(ANSWER)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _close(process: subprocess.Popen[str]) -> None:
    """The pipes to and from a process that has ended."""
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):                        # an order that it did not read any more
            assert pipe is not None
            pipe.close()


def _said(code: int) -> str:
    """How a process ended."""
    try:
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"


def require_gpus(count: int, where: str) -> None:
    """Raises BackendError where there are fewer GPUs; another process looks, as looking takes memory of a GPU."""
    if not count:
        return
    told = subprocess.run([sys.executable, "-c", "from upstroke.sweep.worker import tell_gpus; tell_gpus()"],
                          capture_output=True, text=True)
    found = told.stdout.strip() or f"looking for them failed: {told.stderr.strip().rpartition(chr(10))[2]}"
    if not (found.isdecimal() and int(found) >= count):
        raise BackendError(where, f"{count} asked for, and " + (f"found {found}" if found.isdecimal() else
                           f"CUDA cannot be used: {found}"), "take as many as there are; 0 computes on the CPU")


class LocalPool:
    """``count`` processes of this machine, each with its GPU where there are some."""

    notes: tuple[str, ...] = ()      # what the user should know

    def __init__(self, count: int, gpus: int, log: Path, time_limit: float | None) -> None:
        self.count = count
        devices = [{"CUDA_VISIBLE_DEVICES": _gpu(k % gpus)} if gpus else {} for k in range(count)]
        self._workers = [_Worker(device, log, time_limit) for device in devices]

    def __call__(self, jobs: Jobs) -> Iterator[tuple[int, Outcome]]:
        waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        found: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
        ended = threading.Event()
        for job in jobs.together:
            waiting.put(job)

        def work(worker: _Worker) -> None:
            while (job := waiting.get()) is not None and not ended.is_set():
                answer = worker.run(jobs, job)
                if not ended.is_set():
                    for part in answer["again"]:
                        waiting.put(part)
                    for number, outcome in answer["done"]:
                        found.put((number, outcome))

        threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in self._workers]
        try:
            for thread in threads:
                thread.start()
            for _ in jobs.tasks:
                yield found.get()
        finally:
            ended.set()
            for worker in self._workers:
                waiting.put(None)
                worker.ask()
            for worker in self._workers:
                worker.wait()
            for thread in filter(threading.Thread.is_alive, threads):
                thread.join(ANSWER)
            for worker in self._workers:
                if worker.process is not None:
                    _close(worker.process)


def _gpu(number: int) -> str:
    """The name of a GPU among those that this process may use."""
    allowed = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return allowed[number % len(allowed)] if allowed else str(number)


class MpiPool:
    """The ranks of an MPI job but the first, by ``mpi4py.futures``: mpiexec -n 4 upstroke sweep study.toml."""

    def __init__(self, executor: Any, count: int, ignored: Sequence[str]) -> None:
        self._executor, self.count = executor, count
        self.notes = tuple(f"run.{name} does nothing where the ranks of an MPI job are the workers" for name in ignored)

    def __call__(self, jobs: Jobs) -> Iterator[tuple[int, Outcome]]:
        from concurrent.futures import FIRST_COMPLETED, wait

        running = {self._executor.submit(run_job, jobs.order(job)): job for job in jobs.together}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job, error = running.pop(future), future.exception()
                    answer = future.result() if error is None else broken(job, repr(error), 0.0)
                    for part in answer["again"]:
                        running[self._executor.submit(run_job, jobs.order(part))] = part
                    yield from (tuple(told) for told in answer["done"])
        finally:
            for future in running:
                future.cancel()

"""Several processes share a run: the ranks of an MPI job, each with its part of the nodes."""

from __future__ import annotations

import os
from typing import Any

from upstroke.backend import Backend, open_backend
from upstroke.backend.cpu import available_threads
from upstroke.case import Case
from upstroke.case.schema import Backend as Section
from upstroke.errors import BackendError, CaseError
from upstroke.parallel.devices import open_gpu
from upstroke.parallel.ranks import OneRank, Ranks

__all__ = ["OneRank", "Ranks", "end_job", "open_shared", "ranks_of_job", "require_shareable", "work_alone",
           "world"]

SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS")                  # where launchers say how many there are
MARKS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK")         # which only processes of a job have

_job: list[Ranks] = []        # this process's place in its job, once it has been asked for


def world() -> Any:
    """The communicator of all processes of the MPI job that this one belongs to; None where there is no job.

    Raises
    ------
    BackendError where a launcher has started several processes and mpi4py is missing
    """
    size = max(int(os.environ.get(name) or 1) for name in SIZES) if any(name in os.environ for name in MARKS) else 1
    if size == 1:
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise BackendError("mpiexec", f"started {size} processes, which cannot work together: {error}",
                           'pip install "upstroke[mpi]", or mpi4py built on the site\'s MPI') from error
    single = MPI.COMM_WORLD.size == 1 or MPI.COMM_WORLD.Get_attr(MPI.APPNUM) is None
    return None if single else MPI.COMM_WORLD


def ranks_of_job() -> OneRank | Ranks:
    """The ranks of the MPI job that this process belongs to, new for each run; one where there is no job.

    Raises
    ------
    BackendError as `world`
    """
    comm = world()
    if comm is None:
        return OneRank()
    _job[:] = [Ranks(comm)]
    return _job[0]


def work_alone() -> None:
    """From here on the runs of this process, and of its children, are its own, although it belongs to a job.

    For members of a study, which the ranks of a job share out. MPI has to be initialised before.
    """
    for name in MARKS:
        os.environ.pop(name, None)


def open_shared(section: Section, ranks: OneRank | Ranks) -> Backend:
    """The backend of a process; ranks on one machine share out its GPUs, or its cores.

    Raises
    ------
    BackendError where the device cannot be used
    """
    backend = _of_rank(section, ranks) if isinstance(ranks, Ranks) else \
        open_backend(section.device, section.threads, section.precision)
    if section.cuda_aware_mpi and (backend.name == "cpu" or ranks.size == 1):
        backend.notes = (*backend.notes, "backend.cuda_aware_mpi changes nothing here: it is for several ranks with a "
                                         "GPU each")
    return backend


def _of_rank(section: Section, ranks: Ranks) -> Backend:
    why = ""
    if section.device != "cpu":
        gpu, why = open_gpu(section, ranks)
        if gpu is not None:
            return gpu
    backend = open_backend("cpu", section.threads or max(1, available_threads() // ranks.beside), section.precision)
    backend.halo = ranks
    backend.choice = f"rank {ranks.rank} of {ranks.size}" + (f"; {why}" if why else "")
    return backend


def end_job(code: int, message: str) -> bool:
    """Tell the other processes of a job that this one has failed; whether it is the one to say why.

    Returns where all have failed alike, as they do over a mistake in the case; else the job is ended, with the message.
    """
    return _job[0].end(code, message) if _job else True


def require_shareable(case: Case, ranks: OneRank | Ranks) -> None:
    """Raise a CaseError for what a run on several processes does not have yet."""
    if ranks.size == 1:
        return
    what = f"does not run on {ranks.size} MPI ranks yet"
    if case.cable is not None:
        raise CaseError("cable", f"a neuron {what}", "run it on one, or members of a study on several: upstroke sweep")
    if case.time.splitting not in ("godunov", "strang"):
        raise CaseError("time.splitting", f'"{case.time.splitting}" {what}', 'set time.splitting = "strang"')
    if case.solver.method not in ("auto", "cg", "chebyshev", "petsc"):
        raise CaseError("solver.method", f'"{case.solver.method}" {what}', 'set solver.method = "cg"')

"""Which GPU each process of a run takes."""

from __future__ import annotations

from collections.abc import Sequence

from upstroke.backend import Backend, why_no_gpu
from upstroke.case.schema import Backend as Section
from upstroke.errors import BackendError
from upstroke.parallel.ranks import Ranks


def open_gpu(section: Section, ranks: Ranks) -> tuple[Backend | None, str]:
    """The GPU of a process, or why there is none; all processes of a run have one or none has.

    Processes of a machine that may use the same GPUs take them in turn. Where there are more processes than GPUs some
    share one, unless the device is "auto": such jobs are meant for the cores.

    Raises
    ------
    BackendError where the device is "cuda" and some process has none, or MPI is to read device memory and says that it
    cannot
    """
    seen = _visible()
    mine = device_of(ranks.near(seen), ranks.place)
    if seen:
        from upstroke.backend.cuda_ranks import use_device

        use_device(mine)
    taken = ranks.near(seen[mine] if seen else "")
    beside = taken.count(taken[ranks.place])
    reasons = ranks.everyone(why_no_gpu())
    failed = [(rank, reason, remedy) for rank, (reason, remedy) in enumerate(reasons) if reason]
    if failed:
        rank, reason, remedy = failed[0]
        why = f"CUDA cannot be used by rank {rank}: {reason}"
        if section.device == "cuda":
            raise BackendError("backend.device", why, remedy)
        return None, why
    if section.device == "auto" and ranks.most(beside) > 1:
        return None, "there are fewer GPUs than ranks"
    if section.cuda_aware_mpi and not ranks.takes_device_memory():
        raise BackendError("backend.cuda_aware_mpi", "this MPI says that it does not read the memory of GPUs",
                           "leave it out, or build mpi4py on an MPI that is CUDA-aware")
    from upstroke.backend.cuda_ranks import CudaRankBackend

    gpu = CudaRankBackend(section.precision, ranks, section.cuda_aware_mpi)
    gpu.choice = f"rank {ranks.rank} of {ranks.size}, GPU {mine}"
    most = ranks.most(beside)
    if most > 1:
        gpu.notes = (f"up to {most} ranks share a GPU, which takes them in turns: start a rank for each GPU",)
    return gpu, ""  # type: ignore[return-value]   # it mirrors the CPU's


def _visible() -> tuple[str, ...]:
    """The GPUs that this process may use; none where CuPy does not work, which `why_no_gpu` explains."""
    try:
        from upstroke.backend.cuda_ranks import visible_devices

        return visible_devices()
    except Exception:       # of many kinds: import, driver
        return ()


def device_of(seen: Sequence[tuple[str, ...]], place: int) -> int:
    """The number of the GPU, among those it may use, that a process takes; 0 where there are none.

    Parameters
    ----------
    seen : of each process of the machine, the GPUs that it may use
    place : which of them it is
    """
    return seen[:place].count(seen[place]) % max(1, len(seen[place]))

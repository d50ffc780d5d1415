"""What a study file may say, beside the keys that it varies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from upstroke.case.schema.keys import Count, Time, key


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Who runs the members; each worker is a process of its own."""

    workers: int = key("how many at a time; 0: as many as there are cores for them", 0, must=">= 0")
    threads: int = key("threads of each, where the case names no number", 1, must=">= 1 and <= 1024")
    batch: int | Literal["auto"] = key(
        "how many members with one mesh, model and numerics may be run as one, each stage of a step in one launch for "
        "all; 1: each is a run of its own; 'auto': as many as make up a million nodes on a GPU and fit into its "
        "memory, on a CPU 16384 nodes", 1, must=">= 1", example="16")
    gpus: int = key("GPUs to share out among the workers, one each; with it 0 workers means one for each GPU", 0,
                    must=">= 0")
    time_limit: Time | None = key("a member that takes longer (of real time) is ended and counts as failed", None,
                                  example='"2 h"', must="> 0")


@dataclass(frozen=True, kw_only=True)
class Gather:
    """The table of the study."""

    format: Literal["csv", "parquet"] = key("'parquet' needs the package pyarrow", "csv")
    plot: Annotated[tuple[str, ...], Count(1)] | None = key(
        "numbers of summary.json that study.png shows against what is varied; default: the latest activation, else "
        "spikes", None, example='["latest_activation.time_ms"]')


@dataclass(frozen=True, kw_only=True)
class Study:
    """Many runs of one case, which differ in some of its keys."""

    case: str | Annotated[tuple[str, ...], Count(1)] = key(
        "the case: a folder, a file, or several to be merged, as `upstroke run` takes them", example='"../niederer"')
    title: str = key("a line for pictures and reports", "", example='"Block of IKr"')
    run: Workers = key("who runs the members", factory=Workers)
    gather: Gather = key("the table", factory=Gather)

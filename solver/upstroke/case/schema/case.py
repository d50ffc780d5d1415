"""A whole case, with `[backend]` and `[output]`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from upstroke.case.schema.gap import GapJunction
from upstroke.case.schema.keys import Count, Time, key
from upstroke.case.schema.membrane import Membrane
from upstroke.case.schema.mesh import (
    BiventricleMesh,
    CableMesh,
    FileMesh,
    GridMesh,
    SheetMesh,
    SlabMesh,
    VentricleMesh,
)
from upstroke.case.schema.network import NetworkMesh
from upstroke.case.schema.neuron import Cable, MorphologyMesh, SectionsMesh
from upstroke.case.schema.noise import NoiseTable
from upstroke.case.schema.purkinje import PurkinjeTree
from upstroke.case.schema.stimulus import Stimulus
from upstroke.case.schema.synapse import Synapse, VoltageClamp
from upstroke.case.schema.time import Solver, TimeTable
from upstroke.case.schema.tissue import Tissue
from upstroke.case.schema.watch import Watch
from upstroke.errors import Place


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Who computes, and with which numbers."""

    device: Literal["auto", "cpu", "cuda"] = key(
        "the device; 'auto' takes the best there is", "auto",
        others={"gpu": "the GPU is 'cuda'", "cuda:": "take 'cuda', and choose one of several GPUs with the environment "
                                                     "variable CUDA_VISIBLE_DEVICES"})
    precision: Literal["fp64", "fp32", "mixed"] = key(
        "numbers of the membrane kernel; 'mixed': all in fp32 but the states that accumulate small changes", "fp64",
        others={"double": "did you mean 'fp64'?", "float64": "did you mean 'fp64'?",
                "single": "did you mean 'fp32'?", "float": "did you mean 'fp32'?"})
    threads: int = key("CPU threads; 0 takes all cores this process may use", 0, must=">= 0 and <= 1024")
    cuda_aware_mpi: bool = key("whether MPI reads the memory of GPUs itself, where several ranks have one each; it has "
                               "to be built for that, and may crash where it is not", False)


@dataclass(frozen=True, kw_only=True)
class Output:
    """What is left behind."""

    picture: bool = key("draw activation.png", True)
    checkpoint_every: Time | None = key("real time between checkpoints, from which `upstroke resume` goes on; the last "
                                        "two are kept", None, example='"30 min"', must="> 0")
    time_limit: Time | None = key("real time after which a run that has not ended writes a checkpoint and ends", None,
                                  example='"23.5 h"', must="> 0")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A whole case file."""

    mesh: (CableMesh | SheetMesh | SlabMesh | GridMesh | VentricleMesh | BiventricleMesh | FileMesh | MorphologyMesh
           | SectionsMesh | NetworkMesh) = key("where")
    tissue: Tissue | None = key("how neighbours couple; all meshes but neurons need it", None)
    cable: Cable | None = key("how the compartments of a neuron couple; neurons need it", None)
    purkinje: tuple[PurkinjeTree, ...] = key("trees of Purkinje strands, coupled to the tissue at junctions", ())
    membrane: Annotated[tuple[Membrane, ...], Count(1)] = key("what each point does, one table per group of regions")
    time: TimeTable = key("how long")
    stimulus: tuple[Stimulus, ...] = key("what is done to it", ())
    synapse: tuple[Synapse, ...] = key("synapses on a neuron", ())
    voltage_clamp: tuple[VoltageClamp, ...] = key("electrodes that hold V of a neuron", ())
    gap_junction: tuple[GapJunction, ...] = key("electrical coupling of neurons", ())
    noise: tuple[NoiseTable, ...] = key("fluctuating currents and conductances on neurons", ())
    solver: Solver = key("the linear solver", factory=Solver)
    watch: Watch = key("what is looked at", factory=Watch)
    backend: Backend = key("who computes", factory=Backend)
    output: Output = key("what is left behind", factory=Output)
    title: str = key("a line for pictures and reports", "", example='"Niederer slab, dx 0.5 mm"')
    places: dict[str, Place] = field(default_factory=dict, compare=False, repr=False)   # no key: where each came from

    @property
    def coupling(self) -> Tissue | Cable:
        """How neighbours couple."""
        both = [table for table in (self.tissue, self.cable) if table is not None]
        assert len(both) == 1                              # the case was checked
        return both[0]

    def where(self, path: str) -> Place:
        """Where ``path`` ("stimulus.0.box") was written, for messages; for a default, where its table was."""
        while path:
            for spelling in (path, path.replace(".0", "")):        # a lone table may stand for an array of one
                if spelling in self.places:
                    return self.places[spelling]
            path = path.rpartition(".")[0]
        return self.places.get("", Place("case"))

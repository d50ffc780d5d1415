"""What a run gives back to Python: maps, probes and fields as NumPy arrays, and a PyVista grid."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.case import Case
from upstroke.mesh.mesh import Mesh
from upstroke.observe import ActivationMap
from upstroke.step.state import State


@dataclass(frozen=True, eq=False)
class Result:
    """The results of a finished run.

    Attributes
    ----------
    directory : where its files are
    activation : activation, repolarisation and APD of every beat at every node, (beats, n) in ms
    state : V and the membrane's states at the end, ``state.variable("V")`` is (n,) in mV
    summary : the content of summary.json
    notes : what the user should know
    device : what computed, and why that
    """

    case: Case
    directory: Path
    mesh: Mesh
    activation: ActivationMap
    state: State
    summary: dict[str, Any]
    notes: tuple[str, ...]
    device: str

    def probes(self) -> dict[str, NDArray[np.float64]]:
        """The columns of probes.csv by name: ``time_ms``, ``P1.V``, ...; empty where the case has no probes."""
        return self._columns("probes.csv")

    def ecg(self) -> dict[str, NDArray[np.float64]]:
        """The columns of ecg.csv by name: ``time_ms``, ``phi.RA``, ..., ``I``, ... in mV; empty without electrodes."""
        return self._columns("ecg.csv")

    def tips(self) -> dict[str, NDArray[np.float64]]:
        """The columns of tips.csv, or in volumes of filaments.csv, by name; empty where they are not watched."""
        return self._columns("tips.csv") or self._columns("filaments.csv")

    def _columns(self, file_name: str) -> dict[str, NDArray[np.float64]]:
        path = self.directory / file_name
        if not path.exists():
            return {}
        with path.open(newline="") as file:
            names = next(csv.reader(file))
            rows = np.array(list(csv.reader(file)), np.float64)
        return dict(zip(names, rows.reshape(-1, len(names)).T, strict=True))

    def spikes(self) -> dict[str, NDArray[np.float64]]:
        """The times (ms) of spikes.csv by the names of its points; empty where the case watches none."""
        path = self.directory / "spikes.csv"
        if not path.exists():
            return {}
        times: dict[str, list[float]] = {name: [] for name in self.summary["spikes"]}
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                times[row["name"]].append(float(row["time_ms"]))
        return {name: np.array(values) for name, values in times.items()}

    def film(self, path: str | Path, fps: float = 20.0, **look: Any) -> Path:
        """Write a film of the snapshots, .mp4 or .gif.

        ``look`` is that of `upstroke.view.Look`: variable, bounds, clip, isochrones, fibres, curves, angles, begin,
        end, every, width, triangles. Raises UpstrokeError as ``upstroke view``.
        """
        from upstroke.view import Look, film

        return film(self.directory, Path(path), Look(**look), fps).path

    def page(self, path: str | Path, **look: Any) -> Path:
        """Write the interactive page of the snapshots, .html; ``look`` as for `film`."""
        from upstroke.view import Look, page

        return page(self.directory, Path(path), Look(**look)).path

    def picture(self, path: str | Path, moments: Sequence[float] = (), **look: Any) -> Path:
        """Write a picture of the snapshots at some moments (ms; six by default), .png; ``look`` as for `film`."""
        from upstroke.view import Look, picture

        return picture(self.directory, Path(path), Look(**look), moments).path

    def fronts(self, path: str | Path, moments: Sequence[float] = (), *, angles: tuple[float, float] | None = None,
               width: int = 900, triangles: int = 60_000) -> Path:
        """Write the wave fronts in a volume at some moments (ms; a few round ones by default), .png or .vtu.

        ``angles``, ``width`` and ``triangles`` are of pictures, as for `film`. No snapshots are needed.
        """
        from upstroke.view import Look, fronts

        return fronts(self.directory, Path(path), Look(angles=angles, width=width, triangles=triangles), moments).path

    def features(self, names: Sequence[str] = (), window: tuple[float, float] | None = None) -> dict[str, Any]:
        """What eFEL measures of V of the probes: by probe and feature an array, empty where a trace has no such thing.

        Arguments
        ---------
        names : eFEL's names of features; by default some usual ones
        window : ms, start and end of what is applied; by default those of the first stimulus, else of the run
        """
        from upstroke.view import measure

        return measure(self.directory, names, window)

    def grid(self) -> Any:
        """The mesh with its activation maps, as a ``pyvista.UnstructuredGrid``; needs the extra ``view``."""
        import pyvista

        return pyvista.read(self.directory / "activation.vtu")

    def report(self) -> str:
        """A few lines for the terminal."""
        s = self.summary
        lines = [f"{s['nodes']:,} nodes, {100 * s['activated_fraction']:.3g} % activated"]
        if (last := s["latest_activation"]) is not None:
            place = ", ".join(f"{x:.4g}" for x in last["place_mm"])
            lines[0] += f", the last at {last['time_ms']:.2f} ms ({place} mm)"
        lines.append(f"computed on {self.device}")
        lines += [f"note: {note}" for note in self.notes]
        lines.append(f"results in {self.directory}")
        return "\n".join(lines)

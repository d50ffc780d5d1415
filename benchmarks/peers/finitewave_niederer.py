"""Runs the Niederer slab with Finitewave (explicit finite differences, Numba, fp64) and prints one line of JSON.

    python benchmarks/peers/finitewave_niederer.py --dx 0.2 --end 65 --threads 2

Any Python will do: the script changes over to the environment that `benchmarks/peers/setup.sh` made.
"""

from __future__ import annotations

import contextlib

import slab as niederer

STATES = {     # of the benchmark, as Finitewave calls them
    "V": "u", "Xr1": "xr1", "Xr2": "xr2", "Xs": "xs", "m": "m", "h": "h", "j": "j", "d": "d", "f": "f", "f2": "f2",
    "fCass": "fcass", "s": "s", "r": "r", "Cai": "cai", "CaSR": "casr", "CaSS": "cass", "R_": "rr", "Nai": "nai",
    "Ki": "ki",
}
NOTES = [
    "explicit Euler in V, 19-point stencil for fibres, Rush-Larsen, fp64",
    "a current stimulus of duration T acts for one or two steps longer than T; shortened by 1.5 dt to give T exactly",
    "probes read u_new, the potential at the end of the step; the shipped trackers read the one at its start, "
    "the stimulus of the step already added",
]


def main() -> None:
    args = niederer.arguments("The Niederer slab with Finitewave.")
    niederer.enter("finitewave")
    with niederer.quiet():
        setup = niederer.Clock()
        import finitewave as fw
        import numpy as np

        class Probes(fw.Tracker):
            """Potential of the watched nodes at the end of every step; the map of all nodes."""

            def __init__(self, nodes: np.ndarray) -> None:
                super().__init__()
                self.nodes = tuple(nodes.T)
                self.rows: list[np.ndarray] = []
                self.clock = setup

            def initialize(self, model: fw.CardiacModel) -> None:
                self.model = model

            def _track(self) -> None:
                self.rows.append(self.model.u_new[self.nodes])
                everywhere.see(len(self.rows) * dt, self.model.u_new[inner].ravel(), self.clock)

        slab, dt, steps = niederer.Slab(args.dx), args.dt, round(args.end / args.dt)
        shell = 1       # Finitewave wants one layer of empty nodes around the tissue
        inner = (slice(shell, -shell),) * 3
        everywhere = niederer.Everywhere(args.map, slab)
        tissue = fw.CardiacTissue([n + 2 * shell for n in slab.shape])
        tissue.fibers = np.zeros((*tissue.mesh.shape, 3))
        tissue.fibers[..., 0] = 1.0

        cube = {"1": shell, "2": shell + slab.stimulated}
        stimuli = fw.StimSequence()
        stimuli.add_stim(fw.StimCurrentCoord(
            0.0, niederer.STIMULUS, niederer.STIMULUS_END - 1.5 * dt,
            **{axis + end: node for axis in "xyz" for end, node in cube.items()},
        ))
        probes = Probes(np.array(slab.watched) + shell)
        trackers = fw.TrackerSequence()
        trackers.add_tracker(probes)

        model = fw.TenTusscherPanfilov2006()      # epicardial as it comes
        for state, name in STATES.items():
            if name not in model.default_variables:
                niederer.fail(f"this version of Finitewave's TenTusscherPanfilov2006 has no '{name}'; mend STATES")
            setattr(model, f"init_{name}", niederer.INITIAL[state])
        model.D_model, model.dt, model.dr, model.prog_bar = niederer.D_L, dt, args.dx, False
        model.cardiac_tissue, model.stim_sequence, model.tracker_sequence = tissue, stimuli, trackers
        model.stencil = model.select_stencil(tissue)
        model.stencil.D_al, model.stencil.D_ac = 1.0, niederer.D_T / niederer.D_L

        model.t_max = 0.5 * dt                    # half a step short: the number of steps is rounded up
        model.run(num_of_threads=args.threads)
        setup_s, _ = setup.read()

        model.t_max = (steps - 0.5) * dt
        loop = probes.clock = niederer.Clock()
        with contextlib.suppress(niederer.Complete):
            model.run(initialize=False, num_of_threads=args.threads)
        loop_s, steps = loop.read(), len(probes.rows)
        everywhere.save()

        times = dt * np.arange(steps + 1)
        potentials = np.vstack([np.full(len(slab.watched), niederer.INITIAL["V"]), *probes.rows])
    niederer.report("finitewave", args, slab, setup_s, loop_s, slab.activation(times, potentials), NOTES, steps)


if __name__ == "__main__":
    main()

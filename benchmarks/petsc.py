"""What the diffusion takes with PETSc and with our own iterations, in turns in one process or on several ranks.

    python benchmarks/petsc.py [--side 46] [--steps 30] [--options="-pc_type gamg" ...]
    mpiexec -n 2 python benchmarks/petsc.py

A cube of tetrahedra with ten Tusscher-Panfilov cells, stimulated at a corner. Contestants take the same steps in
turns; the first steps do not count. Prints the medians of the diffusion's time per step.
"""

from __future__ import annotations

import argparse
from statistics import mean, median
from typing import Any

from scaling import WARM, case_of

from upstroke import load_case
from upstroke.run import prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=46, help="nodes along each edge")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--options", nargs="*", default=["", "-pc_type gamg"], help="options of PETSc to try")
    arguments = parser.parse_args()
    solvers: dict[str, dict[str, Any]] = {"cg": {"method": "cg"}, "chebyshev": {"method": "chebyshev"}}
    solvers |= {f"petsc {options}".strip(): {"method": "petsc", "petsc_options": options}
                for options in arguments.options}
    setups = {name: prepare(load_case(case_of(arguments.side, 1) | {"solver": solver}))
              for name, solver in solvers.items()}
    under_way = {name: setup.stepper.steps() for name, setup in setups.items()}
    seconds: dict[str, list[float]] = {name: [] for name in solvers}
    counts: dict[str, list[int]] = {name: [] for name in solvers}
    for steps in under_way.values():
        next(steps)
    for _ in range(WARM + arguments.steps):
        for name, steps in under_way.items():
            stepper = setups[name].stepper
            before = stepper.seconds["diffusion"]
            next(steps)
            seconds[name].append(stepper.seconds["diffusion"] - before)
            counts[name].append(stepper.clock.last_iterations)
    first = next(iter(setups.values())).backend.halo.first
    differ = {name: setup.backend.halo.most(int(1e9 * abs(setup.state.V - setups["cg"].state.V).max()))
              for name, setup in setups.items()}
    for name in solvers if first else ():
        print(f"{name:24} {1e3 * median(seconds[name][WARM:]):8.2f} ms a step, "
              f"{mean(counts[name][WARM:]):5.1f} iterations, V differs from that of cg by at most "
              f"{1e-9 * differ[name]:.1e} mV")
    if first:
        print(f"{arguments.side ** 3:,} nodes;", setups["cg"].backend, *(setup.backend.libraries.get("petsc", "")
                                                                        for setup in setups.values()))


if __name__ == "__main__":
    main()

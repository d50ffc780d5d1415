"""A few tiny runs on the GPU that use every kind of kernel once: what memory checkers look at.

    compute-sanitizer python tests/gpu/tiny.py

Every array gets an allocation of its own, so that a checker sees where one ends.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    import cupy
    from compare import Comparison, network, sheet, tiny

    if not tiny():
        cupy.cuda.set_allocator(None)
    grid = {"kind": "grid", "size": ["9.6 mm", "8 mm"], "dx": "0.4 mm", "fibre": [1, 0, 0]}
    cable = {"kind": "cable", "length": "30 mm", "dx": "0.2 mm"}
    corner = {"box": {"min": ["0 mm"], "max": ["0.8 mm"]}, "current": "90 uA/cm^2", "duration": "1 ms"}
    watch = {"probes": {"points": {"corner": ["0 mm"]}, "every": "0.2 ms"}, "snapshots": {"every": "0.5 ms"}}
    short = {"end": "2 ms", "dt": "0.1 ms"}
    runs = {
        "cg, fp64": sheet(24, 20, time=short, watch=watch),
        "chebyshev, mixed": sheet(24, 20, time=short, solver={"method": "chebyshev"}, backend={"precision": "mixed"}),
        "explicit grid, fp32": sheet(time=short | {"diffusion": "explicit"}, tissue={"waves": "lumped"},
                                     backend={"precision": "fp32"}) | {"mesh": grid, "stimulus": corner},
        "unsplit": sheet(24, 20, time=short | {"diffusion": "explicit", "splitting": "unsplit"},
                         tissue={"waves": "lumped"}),
        "tree": sheet(time=short, solver={"method": "tree"}, tissue={"conductivity": {"monodomain": ["3 mS/cm"]}})
        | {"mesh": cable, "stimulus": corner},
        "staggered": sheet(time=short | {"splitting": "staggered"}, tissue={
            "conductivity": {"monodomain": ["3 mS/cm"]}, "waves": "lumped"}) | {"mesh": cable, "stimulus": corner},
        "network": network(12, time={"end": "5 ms", "dt": "0.025 ms", "splitting": "staggered"}),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, case in runs.items():
            result = Comparison(Path(folder) / name.replace(", ", "_").replace(" ", "_")).run(case, device="cuda")
            print(f"{name}: {result.summary['nodes']} nodes, {result.activation.beats} beats")


if __name__ == "__main__":
    main()

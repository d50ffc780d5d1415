"""One case, two devices: what both must agree on. Helper of the tests in this folder."""

from pathlib import Path

import numpy as np

import upstroke
from upstroke import load_case

ROOT = Path(__file__).parents[2]
CASES = ROOT / "cases"
TIGHT = "1e-9 mV"      # of the linear solver: what two devices sum in another order must not matter


def tiny() -> bool:
    """Whether the device is the tests' stand-in, for which cases shrink."""
    import cupy

    return ROOT / "tests" / "emulated" in Path(cupy.__file__).resolve().parents


def sheet(nx=24, ny=13, **tables):
    """A sheet, stimulated in a corner: the base that tests change."""
    steps = 30 if tiny() else 400
    nx, ny = (nx, ny) if not tiny() else (nx // 4, ny // 4)
    case = {
        "mesh": {"kind": "sheet", "size": [f"{nx * 0.4:g} mm", f"{ny * 0.4:g} mm"], "dx": "0.4 mm", "fibre": [1, 0, 0]},
        "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["3.2 mS/cm", "0.8 mS/cm"]}},
        "membrane": {"model": "MitchellSchaeffer"},
        "time": {"end": f"{steps * 0.1:g} ms", "dt": "0.1 ms"},
        "solver": {"tolerance": TIGHT},
        "stimulus": {"box": {"min": ["0 mm", "0 mm"], "max": ["0.8 mm", "0.8 mm"]}, "current": "90 uA/cm^2",
                     "duration": "2 ms"},
        "output": {"picture": False},
    }
    for name, table in tables.items():
        if isinstance(table, dict) and isinstance(case.get(name), dict):
            case[name] = case[name] | table
        else:
            case[name] = table
    return case


def network(cells=400, **tables):
    """Balls and sticks that excite each other at random, coupled in a ring, under noise."""
    cells, end = (12, 6) if tiny() else (cells, 60)
    cell = {"kind": "sections", "compartments": {"max_length": "50 um"}, "section": [
        {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
        {"name": "dend", "parent": "soma", "length": "200 um", "diameter": "2 um"}]}
    stick = {"section": "dend", "x": 0.6}
    return {
        "mesh": {"kind": "network", "population": [{"name": "pop", "count": cells, "cell": cell}]},
        "cable": {"axial_resistivity": "150 ohm*cm"},
        "membrane": [{"model": "HodgkinHuxley", "regions": ["soma"], "initial": {"V": -65}},
                     {"model": "Passive", "parameters": {"Rm": 10, "V_rest": -65}, "initial": {"V": -65}}],
        "time": {"end": f"{end} ms", "dt": "0.025 ms", "splitting": "staggered"},
        "synapse": {"kind": "exp2syn", "tau_rise": "0.3 ms", "tau_decay": "2 ms", "site": stick, "count": 10,
                    "weight": {"normal": ["2 nS", "1 nS"]}, "delay": {"uniform": ["0.5 ms", "5 ms"]},
                    "events": {"source": {"section": "soma"}, "threshold": "-20 mV"}},
        "gap_junction": {"conductance": "0.5 nS", "site": stick, "to": stick, "ring": True},
        "noise": {"site": {"section": "soma"}, "total_current": ["0.15 nA", "0.1 nA"], "tau": "3 ms"},
        "watch": {"spikes": {"points": {"soma": {"section": "soma"}}, "threshold": "-20 mV"}},
        "output": {"picture": False},
    } | tables


class Comparison:
    """Runs a case on both devices; every check says by how much they differ."""

    def __init__(self, folder: Path, seen: dict[str, float] | None = None) -> None:
        self._folder, self._runs = folder, 0
        self.seen = {} if seen is None else seen       # largest differences, ms and mV

    def run(self, *sources, device: str, **tables):
        """The result of one run."""
        case = load_case(*sources, tables, {"backend": {"device": device}, "output": {"picture": False}})
        self._runs += 1
        return upstroke.run(case, self._folder / f"{device}{self._runs}")

    def both(self, *sources, **tables):
        """The CPU's result and the GPU's."""
        cpu, gpu = (self.run(*sources, device=device, **tables) for device in ("cpu", "cuda"))
        assert gpu.case.backend.device == "cuda"
        return cpu, gpu

    def times(self, cpu, gpu, within: float) -> None:
        """Activation within ``within`` ms; repolarisation, where V moves much more slowly, within ten times that.

        V at the end within what it moves in a quarter of ``within`` at the steepest upstrokes, 400 mV/ms.
        """
        a, b = cpu.activation, gpu.activation
        assert a.beats == b.beats >= 1, f"{a.beats} beats on the CPU, {b.beats} on the GPU"
        for name, limit in (("activation", within), ("repolarisation", 10 * within)):
            x, y = getattr(a, name), getattr(b, name)
            assert np.array_equal(np.isnan(x), np.isnan(y)), f"{name} is there at other nodes"
            if np.isfinite(x).any():
                worst = np.nanmax(abs(x - y))
                kind = f"{name}, {gpu.case.backend.precision}"
                self.seen[kind] = max(self.seen.get(kind, 0.0), float(worst))
                assert worst <= limit, f"{name} differs by {worst:.3g} ms, more than {limit:g} ms"
        worst = abs(cpu.state.variable("V") - gpu.state.variable("V")).max()
        assert worst <= 100 * within, f"V differs by {worst:.3g} mV at the end"
        kind = f"V, {gpu.case.backend.precision}"
        self.seen[kind] = max(self.seen.get(kind, 0.0), float(worst))
        for name in ("v_min", "v_max"):
            x, y = getattr(a, name), getattr(b, name)
            assert abs(x - y) <= min(1e3 * within, 0.1), f"{name} is {x} on the CPU, {y} mV on the GPU"

    def check(self, *sources, within: float = 1e-6, **tables) -> None:
        """Run on both, compare the times."""
        self.times(*self.both(*sources, **tables), within=within)

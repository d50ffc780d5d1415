"""A run that breaks on the GPU breaks with the same words, at the same time and node, as on the CPU."""

import pytest
from compare import sheet

from upstroke.errors import DivergenceError


def message(same, case, device):
    with pytest.raises(DivergenceError) as caught:
        same.run(case, device=device)
    return str(caught.value)


def test_values_that_are_not_finite(same):
    case = sheet(stimulus={"box": {"min": ["0.8 mm", "0 mm"], "max": ["0.8 mm", "0 mm"]}, "start": "1 ms",
                           "current": "1e300 uA/cm^2", "duration": "1 ms"})
    cpu, gpu = (message(same, case, device) for device in ("cpu", "cuda"))
    assert cpu == gpu
    assert "left the finite numbers" in cpu


def test_solver_that_does_not_converge(same):
    case = sheet(solver={"tolerance": "1e-12 mV", "max_iterations": 2})
    cpu, gpu = (message(same, case, device) for device in ("cpu", "cuda"))
    assert cpu == gpu
    assert "did not converge in 2 iterations" in cpu


def test_what_was_seen_until_then_is_kept(same, tmp_path):
    case = sheet(stimulus={"box": {"min": ["0.8 mm", "0 mm"], "max": ["0.8 mm", "0 mm"]}, "start": "1 ms",
                           "current": "1e300 uA/cm^2", "duration": "1 ms"},
                 watch={"probes": {"points": {"corner": ["0 mm", "0 mm"]}, "every": "0.1 ms"}})
    files = []
    for device in ("cpu", "cuda"):
        message(same, case, device)
        files.append(next(tmp_path.glob(f"{device}*/probes.csv")).read_text().splitlines())
    cpu, gpu = files
    assert len(cpu) == len(gpu) > 10

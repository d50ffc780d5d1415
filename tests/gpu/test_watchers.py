"""What is looked at while stepping is the same on both devices: probes and snapshots.

Explicit diffusion, so that no linear solver stops an iteration earlier on one of them: what is left is rounding.
"""

import csv

import h5py
import numpy as np
import pytest
from compare import sheet


@pytest.fixture
def case():
    return sheet(time={"diffusion": "explicit"}, tissue={"waves": "lumped"}, watch={
        "probes": {"points": {"corner": ["0 mm", "0 mm"], "beside": ["1.1 mm", "0.7 mm"]}, "every": "0.3 ms",
                   "variables": ["V", "Iion", "h"], "interpolate": True},
        "snapshots": {"every": "0.5 ms", "variables": ["V", "h"]}})


def test_probes(same, case):
    cpu, gpu = same.both(case)
    heads = [next(csv.reader((result.directory / "probes.csv").open())) for result in (cpu, gpu)]
    assert heads[0] == heads[1] and len(heads[0]) == 7
    for name, values in cpu.probes().items():
        scale = abs(values).max()
        assert scale > 0
        assert np.allclose(gpu.probes()[name], values, rtol=0, atol=1e-9 * scale), name


def test_snapshots(same, case):
    cpu, gpu = same.both(case)
    with h5py.File(cpu.directory / "vm.vtkhdf") as a, h5py.File(gpu.directory / "vm.vtkhdf") as b:
        names: list[str] = []
        a.visit(names.append)
        others: list[str] = []
        b.visit(others.append)
        assert names == others
        compared = 0
        for name in names:
            if not isinstance(a[name], h5py.Dataset):
                continue
            x, y = a[name][...], b[name][...]
            assert x.shape == y.shape
            if x.dtype.kind == "f":
                assert np.allclose(x, y, rtol=1e-6, atol=1e-6, equal_nan=True), name      # values are stored in fp32
                compared += x.size
            else:
                assert np.array_equal(x, y), name
        assert compared > 500


@pytest.mark.parametrize("table", [{"delay": "2 ms"}, {"recovery": "h", "recovery_level": 0.5}])
def test_tips(same, table):
    """A rotor from phases, whose tip the host looks for while the device goes on."""
    turn = {"beats": 3, "period": "60 ms", "phase": "atan2(y - 6.2 mm, x - 5.7 mm) / (2 * pi)"}
    cpu, gpu = same.both(sheet(
        mesh={"kind": "grid", "size": ["12 mm", "12 mm"], "dx": "1 mm", "fibre": None}, stimulus=[],
        membrane={"parameters": {"tau_close": 20, "tau_open": 20}, "prepace": turn},
        time={"diffusion": "explicit", "end": "4 ms"}, tissue={"waves": "lumped", "conductivity": {
            "monodomain": ["1 mS/cm"]}}, watch={"tips": {"every": "0.5 ms"} | table}))
    assert cpu.summary["tips"] == gpu.summary["tips"] and cpu.summary["tips"]["in_all"] >= 1
    for name, values in cpu.tips().items():
        assert np.allclose(gpu.tips()[name], values, rtol=0, atol=1e-6), name


def test_final_state(same, case):
    cpu, gpu = same.both(case)
    assert cpu.state.names == gpu.state.names
    for name in cpu.state.names:
        a, b = cpu.state.variable(name), gpu.state.variable(name)
        assert isinstance(b, np.ndarray)
        assert np.allclose(a, b, rtol=1e-9, atol=1e-9 * abs(a).max()), name

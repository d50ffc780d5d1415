"""What several tests take: models for the dear ones (all are checked in numeric/test_models.py), a small case."""

from functools import cache
from typing import Any

import numpy as np

from upstroke.ionic import Model, load_model, shipped_models

#: small and large, with and without gates: what compilers are asked to optimise fully
SAMPLE_MODELS = ("AlievPanfilov", "HodgkinHuxley", "MitchellSchaeffer", "tenTusscherPanfilov", "OHara")

#: every method for stiff equations in one model: at dt = 0.02 ms forward Euler fails in each state but V
STIFF = """
V; .external(Vm); .nodal(); .units(mV); .method(sundnes);
Iion; .external(); .units(uA/cm^2);
group { g = 0.3; E = -70; }.param();
V_init = -60; m_init = 0.2; p_init = 0.5;
m_inf = 1/(1 + exp(-(V + 40)/9)); tau_m = 0.002 + 0.001*exp(-square(V + 30)/100); m; .method(sundnes);
diff_p = 300*(m + 0.1 - p*p*p); p; .method(sundnes);
group { closed; open; shut; }.method(markov_be);
closed_init = 1; open_init = 0; shut_init = 0;
on = 200/(1 + exp(-(V + 40)/9)); off = 30*exp(-(V + 40)/40); flux = on*closed - off*open; trap = 0.5*open - 0.2*shut;
diff_closed = -flux; diff_open = flux - trap; diff_shut = trap;
group { Ca; bound; }.method(rosenbrock);
Ca_init = 1; bound_init = 0; binding = 400*Ca*(1 - bound) - 100*bound;
diff_Ca = 0.1*(1 + open - Ca) - binding; diff_bound = binding;
Iion = g*(V - E)*(m + p + open + Ca);
"""

#: events over all of these: on V, a gate, a chain, coupled states, a count; two of them change V, one state has bounds
RESETS = STIFF + """
count_init = 0; last_init = 0; above = V > E + 35; Ca; .ub(1.2);
when (above && open >= 0) { V = E + 0.1*(V - E); m = 0.5*m; Ca += 0.1*V*V/1000; count += 1; last = t; }
when (V > E + 30 || count > 3) { V = V - 5; p = max(p - 0.2, 0); count = 0; flux_seen = flux; }
when (shut > 0.01) { closed += shut; shut = 0; }
flux_seen_init = 0;
"""

#: A cable that is over in no time.
CABLE = """
[mesh]
kind = "cable"
length = "4 mm"
dx = "0.1 mm"
[tissue]
surface_to_volume = "140 /mm"
[tissue.conductivity]
monodomain = ["1 mS/cm"]
[membrane]
model = "MitchellSchaeffer"
[time]
end = "6 ms"
dt = "0.1 ms"
[[stimulus]]
box = { min = ["0 mm"], max = ["0.5 mm"] }
current = "60 uA/cm^2"
duration = "2 ms"
"""


@cache
def every_model() -> dict[str, Model]:
    """All models of the package by name, read once for all tests of a process."""
    return {info.name: load_model(info.name) for info in shipped_models()}


def dihedral(points: Any, cells: Any) -> Any:
    """(m, 6) degrees between each two faces of a tetrahedron, by the gradients of its corners' functions."""
    grad = np.linalg.inv(points[cells[:, 1:]] - points[cells[:, :1]]).swapaxes(1, 2)
    grad = np.concatenate([-grad.sum(axis=1, keepdims=True), grad], axis=1)
    grad /= np.linalg.norm(grad, axis=2)[:, :, None]
    a, b = zip(*[(i, j) for i in range(4) for j in range(i)], strict=True)
    return np.degrees(np.arccos(np.clip(-np.vecdot(grad[:, a], grad[:, b]), -1, 1)))

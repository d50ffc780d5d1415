"""Channels of Arbor's `bbp` catalogue, clamped: writes channels_arbor.json. Run by a Python that has Arbor 0.12.

Each rests at -80 mV and is then held at another voltage. Calcium comes with its pool, SK with all that feeds it.
Arbor's clamp sets V after currents have moved it, and not before the end of the first step. So t is counted from there,
all conductances are 1e-9 of what is meant, and the pool's gamma is 1e9 times it. Then a soma with the channels and
conductances of Hay et al. 2011 fires.
"""

import json
from pathlib import Path

import arbor
from arbor import units as U

TIMES = [0.5, 2.0, 10.0]
VOLTAGES = [-110.0, -65.0, -50.0, -35.0, -20.0, 0.0, 30.0]
CONDUCTANCES = {"NaTa_t": 2.04, "NaTs2_t": 1.0, "Nap_Et2": 0.00172, "K_Pst": 0.00223, "K_Tst": 0.0812, "SKv3_1": 0.693,
                "SK_E2": 0.0441, "Im": 0.0000675, "Ih": 0.0002, "Ca_HVA": 0.000992, "Ca_LVAst": 0.00343}
SHARE, CURRENT = 1e-9, 0.15
POOL = {"gamma": 0.000501, "decay": 460.0, "minCai": 1e-4, "depth": 0.1}
SOMA = ("NaTa_t", "Nap_Et2", "K_Pst", "K_Tst", "SKv3_1", "SK_E2", "Ih", "Ca_HVA", "Ca_LVAst")
WITH_POOL = {"SK_E2": ("Ca_HVA", "Ca_LVAst"), "Ca_HVA": (), "Ca_LVAst": ()}


class Recipe(arbor.recipe):
    def __init__(self, cell, watched):
        super().__init__()
        self.cell, self.watched, self.properties = cell, watched, arbor.neuron_cable_properties()
        self.properties.catalogue.extend(arbor.bbp_catalogue(), "")

    def num_cells(self):
        return 1

    def cell_kind(self, gid):
        return arbor.cell_kind.cable

    def cell_description(self, gid):
        return self.cell

    def probes(self, gid):
        return self.watched

    def global_properties(self, kind):
        return self.properties


def cell(names, decor, pool, share=1.0, start=-80.0):
    tree = arbor.segment_tree()
    tree.append(arbor.mnpos, arbor.mpoint(-10, 0, 0, 10), arbor.mpoint(10, 0, 0, 10), tag=1)
    for name in names:
        decor.paint("(all)", arbor.density(name, {f"g{name}bar": share * CONDUCTANCES[name]}))
    decor.set_property(Vm=start * U.mV, cm=0.01 * U.F / U.m2, rL=100 * U.Ohm * U.cm, tempK=307.15 * U.Kelvin)
    decor.set_ion("na", rev_pot=50 * U.mV)
    decor.set_ion("k", rev_pot=-85 * U.mV)
    decor.set_ion("ca", int_con=POOL["minCai"] * U.mM, ext_con=2 * U.mM, rev_pot=132 * U.mV,
                  **({"method": "nernst/x=ca"} if pool else {}))
    if pool:
        pool = {**POOL, "gamma": POOL["gamma"] / share, "initCai": POOL["minCai"]}
        decor.paint("(all)", arbor.density("CaDynamics_E2", pool))
    return arbor.cable_cell(tree, decor, arbor.label_dict({}), arbor.cv_policy("(single)"))


def samples(the_cell, watched, end, dt, schedule):
    simulation = arbor.simulation(Recipe(the_cell, [probe for _, probe in watched.items()]), arbor.context(threads=1))
    handles = {name: simulation.sample((0, name), schedule) for name in watched}
    simulation.run(end * U.ms, dt * U.ms)
    return {name: simulation.samples(handle)[0][0] for name, handle in handles.items()}


def clamp(name, V, dt):
    decor = arbor.decor()
    decor.paint("(all)", arbor.voltage_process(f"v_clamp/v0={V}"))
    pool = name in WITH_POOL
    states = {"SK_E2": ["z"], "SKv3_1": ["m"], "Im": ["m"], "Ih": ["m"]}.get(name, ["m", "h"])
    here = "(location 0 0.5)"
    watched = {s: arbor.cable_probe_density_state(here, name, s, s) for s in states}
    if pool:
        watched["Ca_i"] = arbor.cable_probe_ion_int_concentration(here, "ca", "Ca_i")
    watched["I"] = arbor.cable_probe_total_ion_current_density(here, "I")
    found = samples(cell([name, *WITH_POOL.get(name, ())], decor, pool, SHARE), watched, TIMES[-1] + 2 * dt, dt,
                    arbor.explicit_schedule([(t + dt) * U.ms for t in TIMES]))
    return {key: [float(f"{x / (SHARE if key == 'I' else 1.0):.9g}") for x in value[:, 1]]
            for key, value in found.items()}


def spikes(dt):
    decor = arbor.decor()
    decor.paint("(all)", arbor.density("pas/e=-90.0", {"g": 3.38e-5}))
    decor.place("(location 0 0.5)", arbor.i_clamp(5 * U.ms, 95 * U.ms, CURRENT * U.nA))
    here = "(location 0 0.5)"
    watched = {"V": arbor.cable_probe_membrane_voltage(here, "V"),
               "Ca_i": arbor.cable_probe_ion_int_concentration(here, "ca", "Ca_i")}
    found = samples(cell(SOMA, decor, True), watched, 100.0, dt, arbor.regular_schedule(dt * U.ms))
    t, V = found["V"].T
    k = ((V[:-1] < 0) & (V[1:] >= 0)).nonzero()[0]
    return {"spikes_ms": [float(f"{x:.7g}") for x in t[k] - V[k] * (t[k + 1] - t[k]) / (V[k + 1] - V[k])],
            "Ca_end": float(found["Ca_i"][-1, 1])}


if __name__ == "__main__":
    runs = {str(dt): spikes(dt) for dt in (0.025, 0.00125, 0.000625)}
    data = {"source": f"Arbor {arbor.__version__}, catalogue bbp", "start": -80.0, "voltages": VOLTAGES,
            "times_ms": TIMES, "conductances": CONDUCTANCES,
            "clamp": {name: [clamp(name, V, 2**(-12 if name in WITH_POOL else -9)) for V in VOLTAGES]
                      for name in CONDUCTANCES},
            "soma": {"channels": SOMA, "current_nA": CURRENT, "runs": runs}}
    Path(__file__).with_name("channels_arbor.json").write_text(json.dumps(data, indent=1) + "\n")

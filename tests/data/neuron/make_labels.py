"""Cells by NEURON, with its own steps, as labels9.json: python make_labels.py, with `pip install neuron`.

Three regions: a ball and a stick of two halves with an axon. The outer half has another Ra and C_m, and spines that
double its membrane. Gradient: a ball with two branches whose leak grows with the distance. Squid: the giant axon at 6.3
and at 18.5 degrees C, the temperature of the paper's running impulse.
"""

import json
from pathlib import Path

from neuron import h

HERE = Path(__file__).parent
#: L, diam (um), nseg, Ra (ohm cm), cm (uF/cm2), what the membrane is multiplied by
SECTIONS = {"soma": (20, 20, 1, 150, 1.0, 1), "near": (200, 2, 5, 150, 1.0, 1), "far": (200, 2, 5, 300, 1.6, 2),
            "axon": (300, 1, 8, 70, 0.5, 1)}
PLACES = {"soma": ("soma", 0.5), "near": ("near", 0.5), "far": ("far", 0.9), "axon": ("axon", 0.45)}


def cell():
    made = {name: h.Section(name=name) for name in SECTIONS}
    for name, (length, diameter, n, Ra, cm, factor) in SECTIONS.items():
        section = made[name]
        section.L, section.diam, section.nseg, section.Ra, section.cm = length, diameter, n, Ra, cm * factor
        section.insert("hh" if name in ("soma", "axon") else "pas")
        if name in ("near", "far"):
            section.g_pas, section.e_pas = 5e-5 * factor, -65
    made["near"].connect(made["soma"](1))
    made["far"].connect(made["near"](1))
    made["axon"].connect(made["soma"](0))
    return made


def run(sections, order):
    h.secondorder, h.celsius, h.dt, h.steps_per_ms = order, 6.3, 0.025, 40
    traces = {name: h.Vector().record(sections[section](x)._ref_v) for name, (section, x) in PLACES.items()}
    h.finitialize(-65)
    h.continuerun(20)
    return {name: [round(V, 8) for V in list(trace)[::16]] for name, trace in traces.items()}


def gradient(order):
    """V in mV; the leak is 5e-5 (1 + (distance / 200 um)^2) S/cm2."""
    soma, trunk, tuft = (h.Section(name=name) for name in ("soma", "trunk", "tuft"))
    for section, length, diameter, n in ((soma, 20, 20, 1), (trunk, 300, 3, 5), (tuft, 400, 1, 7)):
        section.L, section.diam, section.nseg, section.Ra, section.cm = length, diameter, n, 100, 1
        section.insert("pas")
    trunk.connect(soma(1))
    tuft.connect(trunk(1))
    for section in (soma, trunk, tuft):
        for segment in section:
            segment.pas.e = -65
            segment.pas.g = 5e-5 * (1 + (h.distance(soma(0.5), segment) / 200) ** 2)
    clamp = h.IClamp(trunk(0.5))
    clamp.delay, clamp.dur, clamp.amp = 1, 10, 0.2
    h.secondorder, h.dt, h.steps_per_ms = order, 0.025, 40
    traces = {section.name(): h.Vector().record(section(x)._ref_v) for section, x in (
        (soma, 0.5), (trunk, 0.9), (tuft, 6.5 / 7))}
    h.finitialize(-65)
    h.continuerun(20)
    return {name: [round(V, 8) for V in list(trace)[::32]] for name, trace in traces.items()}


def squid(celsius, order):
    """When 0 mV is crossed upwards 20 and 60 mm along an axon of 476 um, in compartments of 0.2 mm, dt 0.01 ms."""
    h.secondorder, h.celsius, h.dt, h.steps_per_ms = order, celsius, 0.01, 100
    axon = h.Section(name="axon")
    axon.L, axon.diam, axon.nseg, axon.Ra, axon.cm = 80_000, 476, 400, 35.4, 1
    axon.insert("hh")
    clamp = h.IClamp(axon(0.5 / 400))
    clamp.delay, clamp.dur, clamp.amp = 0.1, 0.2, 2e5
    traces = [h.Vector().record(axon(x)._ref_v) for x in (100.5 / 400, 300.5 / 400)]
    h.finitialize(-65)
    h.continuerun(9 if celsius < 10 else 6)
    return [crossing(list(V), h.dt) for V in traces]


def crossing(V, dt):
    k = next(k for k in range(len(V) - 1) if V[k] < 0 <= V[k + 1])
    return round(dt * (k - V[k] / (V[k + 1] - V[k])), 9)


def main():
    h.load_file("stdrun.hoc")
    h.usetable_hh = 0
    sections = cell()
    clamp = h.IClamp(sections["soma"](0.5))
    clamp.delay, clamp.dur, clamp.amp = 2, 1, 0.6
    schemes = {"implicit": 0, "staggered": 2}
    three = {name: run(sections, order) for name, order in schemes.items()}
    del sections, clamp
    gradients = {name: gradient(order) for name, order in schemes.items()}
    result = {"source": f"NEURON {h.nrnversion(5)}", "every_ms": 0.4,
              "three_regions": three, "gradient": gradients,
              "squid_crossings_ms": {celsius: {name: squid(celsius, order) for name, order in schemes.items()}
                                     for celsius in (6.3, 18.5)}}
    (HERE / "labels9.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

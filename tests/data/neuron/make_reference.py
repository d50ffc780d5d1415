"""What NEURON makes of the morphologies here, as neuron9.json: python make_reference.py, with `pip install neuron`."""

import json
from pathlib import Path

from neuron import h

RA, CM, G = 150.0, 1.0, 5e-5     # ohm cm, uF/cm2, S/cm2
HERE = Path(__file__).parent


def cell(file):
    """Sections in order, cut by d_lambda = 0.1 at 100 Hz, passive."""
    reader = h.Import3d_SWC_read() if file.suffix == ".swc" else h.Import3d_Neurolucida3()
    reader.quiet = 1
    reader.input(str(file))
    h.Import3d_GUI(reader, 0).instantiate(None)
    sections = list(h.allsec())
    for sec in sections:
        sec.Ra, sec.cm = RA, CM
        sec.insert("pas")
        sec.g_pas = G
        sec.nseg = int((sec.L / (0.1 * h.lambda_f(100, sec=sec)) + 0.9) / 2) * 2 + 1
    return sections


def impedance(at, others):
    """V in mV per nA (MOhm) at a place with the current, and at others."""
    z = h.Impedance()
    z.loc(at.x, sec=at.sec)
    z.compute(0)
    return [z.input(at.x, sec=at.sec)] + [z.transfer(o.x, sec=o.sec) for o in others]


def main():
    h.load_file("stdlib.hoc")
    h.load_file("import3d.hoc")
    result = {"source": f"NEURON {h.nrnversion(5)}, Import3d", "cells": {}}
    for file in sorted([*HERE.glob("*.swc"), *HERE.glob("*.asc")]):
        sections = cell(file)
        h.finitialize(-65)
        root = next(s for s in sections if s.parentseg() is None)
        soma, start = root(0.5), root(0.5 if "soma" in root.name() else 0)
        far = max(sections, key=lambda s: h.distance(start, s(1)))
        near = impedance(soma, [far(0.5)])
        back = impedance(far(0.5), [soma])
        result["cells"][file.stem] = {
            "sections": [{
                "name": s.name(), "parent": s.parentseg().sec.name() if s.parentseg() else None,
                "parent_x": s.parentseg().x if s.parentseg() else 0.0, "length": s.L, "nseg": s.nseg,
                "points": s.n3d(), "area": [x.area() for x in s], "ri": [x.ri() for x in s],
                "diameter": [x.diam for x in s], "distance": h.distance(start, s(0.5)),
            } for s in sections],
            "root": root.name(), "far": far.name(), "soma_input": near[0], "soma_to_far": near[1],
            "far_input": back[0], "far_to_soma": back[1]}
        for sec in sections:
            h.delete_section(sec=sec)
    (HERE / "neuron9.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

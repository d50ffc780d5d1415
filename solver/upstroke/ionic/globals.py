"""Quantities that models share with the simulator and with each other, by their global names.

``X; .external(name);`` gives one of them a name X in a model. A model that assigns or differentiates it owns it: it is
a state. A model that only reads it gets a parameter with the default below. Currents that are ``summed`` have no owner:
models and plug-ins add to them as to Iion, and what reads one takes the sum of the same moment.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Global:
    """A shared quantity: ``default`` (None: there is no sensible one) in ``unit``; ``summed`` where all add to it."""

    name: str
    unit: str
    default: float | None
    doc: str
    summed: bool = False


GLOBALS: dict[str, Global] = {entry.name: entry for entry in (
    Global("Vm", "mV", None, "membrane voltage"),
    Global("Iion", "uA/cm^2", None, "membrane current, outward positive"),
    Global("ICa", "uA/cm^2", 0.0, "calcium current through the membrane, outward positive", summed=True),
    Global("Lambda", "unitless", 1.0, "stretch along the fibre, 1 at rest length"),
    Global("delLambda", "1/ms", 0.0, "rate of stretch"),
    Global("Tension", "kPa", 0.0, "active tension"),
    Global("K_e", "mM", 5.4, "extracellular potassium"),
    Global("Na_e", "mM", 140.0, "extracellular sodium"),
    Global("Ca_e", "mM", 1.8, "extracellular calcium"),
    Global("Cl_e", "mM", 120.0, "extracellular chloride"),
    Global("K_i", "mM", 140.0, "intracellular potassium"),
    Global("Na_i", "mM", 10.0, "intracellular sodium"),
    Global("Ca_i", "mM", 1e-4, "intracellular calcium"),
    Global("ATP", "mM", 6.8, "intracellular ATP"),
    Global("illum", "mW/cm^2", 0.0, "irradiance of light"),
)}

#: Quantities for which no number stands in for the cell's own: a plug-in that reads one needs a model that has it.
CELL_OWNS = ("K_i", "Na_i", "Ca_i")

#: The names under which models have shared quantities that they do not mark ``.external()``; the first that fits is it.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "K_e": ("K_e", "Ke", "K_o", "Ko", "ko", "K_c", "Kc"),
    "Na_e": ("Na_e", "Nae", "Na_o", "Nao", "nao", "Na_c", "Nac"),
    "Ca_e": ("Ca_e", "Cae", "Ca_o", "Cao", "cao", "Ca_c", "Cac"),
    "Cl_e": ("Cl_e", "Cle", "Cl_o", "Clo", "clo"),
    "K_i": ("K_i", "Ki", "ki"),
    "Na_i": ("Na_i", "Nai", "nai"),
    "Ca_i": ("Ca_i", "Cai", "cai", "Ca_cyt", "Ca_cytosol"),
}

#: Other spellings of global names, among them those of older model files.
GLOBAL_ALIASES: dict[str, str] = {
    "V": "Vm", "Ke": "K_e", "Nae": "Na_e", "Cae": "Ca_e", "Ki": "K_i", "Nai": "Na_i", "Cai": "Ca_i",
}

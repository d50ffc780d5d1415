"""Rules of [watch.ecg]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from upstroke.case.rules.rule import Mistake, rule
from upstroke.case.schema import Case, Ecg, Tissue, Watch
from upstroke.errors import did_you_mean

STANDARD_ELECTRODES = ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")
STANDARD_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


@rule(Ecg, "electrodes")
def there_are_electrodes(electrodes: Mapping[str, Any]) -> Iterator[Mistake]:
    if not electrodes:
        yield Mistake(("electrodes",), "no electrode given", 'for example electrodes = { near = ["25 mm"] }')


@rule(Ecg, "electrodes", "leads", "standard_leads")
def leads_are_of_electrodes(electrodes: Mapping[str, Any], leads: Mapping[str, Sequence[str]],
                            standard: bool) -> Iterator[Mistake]:
    for name, pair in leads.items():
        for electrode in pair:
            if electrode not in electrodes:
                yield Mistake(("leads", name), f"there is no electrode {electrode!r}",
                              did_you_mean(electrode, electrodes))
        if len(set(pair)) == 1:
            yield Mistake(("leads", name), "is the difference of an electrode and itself", "name two")
        if name in {f"phi.{electrode}" for electrode in electrodes}:
            yield Mistake(("leads", name), "is the column of an electrode", "give it another name")
        if standard and name in STANDARD_LEADS:
            yield Mistake(("leads", name), "is one of the standard leads", "give it another name")
    missing = [name for name in STANDARD_ELECTRODES if name not in electrodes]
    if standard and missing:
        yield Mistake(("standard_leads",), f"there is no electrode {', '.join(missing)}",
                      "give all of RA, LA, LL and V1 to V6 their places")


@rule(Ecg, "conductor", "conductivity", "thickness")
def a_mesh_is_no_infinite_conductor(conductor: str, conductivity: float | None,
                                    thickness: float | None) -> Iterator[Mistake]:
    for name, value in (("conductivity", conductivity), ("thickness", thickness)):
        if conductor == "mesh" and value is not None:
            yield Mistake((name,), 'is of an infinite conductor, and conductor is "mesh"', "leave one of the two out")


@rule(Case, "tissue", "watch")
def phi_e_needs_both_conductivities(tissue: Tissue | None, watch: Watch) -> Iterator[Mistake]:
    """Where it is recovered on the mesh."""
    if watch.snapshots is not None and "phi_e" in watch.snapshots.variables:
        what = 'watch.snapshots.variables has "phi_e"'
        if tissue is None:
            yield Mistake(("watch", "snapshots", "variables"), "phi_e is of tissue, and the case has no [tissue]",
                          "leave it out")
            return
    elif watch.ecg is not None and watch.ecg.conductor == "mesh" and tissue is not None:
        what = 'watch.ecg.conductor is "mesh"'
    else:
        return
    for k, table in enumerate(tissue.conductivity):
        if table.monodomain is not None and any(table.monodomain):
            yield Mistake(("tissue", "conductivity", k, "monodomain"), f"{what}, which needs to know what conducts "
                          "inside cells and what outside", "give intracellular and extracellular values instead")


@rule(Case, "watch")
def probes_have_no_phi_e(watch: Watch) -> Iterator[Mistake]:
    if watch.probes is not None and "phi_e" in watch.probes.variables:
        yield Mistake(("watch", "probes", "variables"), "phi_e is no variable of the membrane, which probes read",
                      'make the places electrodes of [watch.ecg], with conductor = "mesh"')


@rule(Case, "tissue", "watch")
def electrodes_are_of_tissue(tissue: Any, watch: Watch) -> Iterator[Mistake]:
    if watch.ecg is not None and tissue is None:
        yield Mistake(("watch", "ecg"), "is of tissue, and the case has no [tissue]", "leave it out")

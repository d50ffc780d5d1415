"""The gates and currents of every channel plug-in, written a second time from the tables of their papers.

``gates`` are functions of V (mV) and Ca_i (mM) that give steady state and time constant (ms); ``current`` is that of
gates, V and Ca_i in uA/cm^2. Rates are as the papers write them, singular points and all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

exp = np.exp
Values = Mapping[str, float]
CA_E = 2.0
R, F = 8.31446261815324, 96485.33212


@dataclass(frozen=True)
class Channel:
    gates: Mapping[str, Callable[[float, float], tuple[float, float]]]
    current: Callable[[Values, float, float], float]      # g = 1 mS/cm^2
    calcium: bool = False                                  # it carries calcium


def rates(alpha, beta, factor=1.0):
    """Steady state and time constant of a gate that opens with alpha(V) and shuts with beta(V)."""
    return lambda V, Ca: (alpha(V)/(alpha(V) + beta(V)), 1/(factor*(alpha(V) + beta(V))))


def steady(inf, tau):
    return lambda V, Ca: (inf(V), tau(V))


def nernst(celsius):
    return lambda Ca: 1000*R*(273.15 + celsius)/(2*F)*np.log(CA_E/Ca)


QT = 2.3**((34 - 21)/10)


def colbert(v_m, v_h):
    """Sodium gates after Colbert and Pan."""
    return {
        "m": rates(lambda V: 0.182*(V - v_m)/(1 - exp(-(V - v_m)/6)),
                   lambda V: 0.124*(v_m - V)/(1 - exp((V - v_m)/6)), QT),
        "h": rates(lambda V: -0.015*(V - v_h)/(1 - exp((V - v_h)/6)),
                   lambda V: -0.015*(v_h - V)/(1 - exp((v_h - V)/6)), QT),
    }


REUVENI = (rates(lambda V: 0.055*(-27 - V)/(exp((-27 - V)/3.8) - 1), lambda V: 0.94*exp((-75 - V)/17)),
           rates(lambda V: 0.000457*exp((-13 - V)/50), lambda V: 0.0065/(exp((-V - 15)/28) + 1)))


def korngreen_tau(V):
    return (1.25 + (175.03*exp(0.026*V) if V < -50 else 13*exp(-0.026*V)))/QT


def migliore(v_half, zeta, gm, a0, tau_min):
    """The A current near the soma and far from it; 35 degrees C."""
    per_mV = 1e-3*9.648e4/(8.315*(273.16 + 35))

    def n(V, Ca):
        z = (zeta - 1/(1 + exp((V + 40)/5)))*per_mV*(V - v_half)
        return 1/(1 + exp(z)), max(exp(gm*z)/(5**1.1*a0*(1 + exp(z))), tau_min)

    return {"n": n, "l": steady(lambda V: 1/(1 + exp(3*per_mV*(V + 56))), lambda V: max(0.26*(V + 50), 2.0))}


def ohmic(E, **powers):
    """m^3 h (V - E) and the like."""
    return lambda s, V, Ca: np.prod([s[gate]**power for gate, power in powers.items()])*(V - E)


def t_current(V):
    return (30.8 + (211.4 + exp((V + 2 + 113.2)/5))/(1 + exp((V + 2 + 84)/3.2)))/3**1.2


HVA, LVA, RETICULAR = nernst(34), nernst(34), nernst(36)
VT = -63.0

CHANNELS: dict[str, Channel] = {
    "NaTa_t": Channel(colbert(-38, -66), ohmic(50, m=3, h=1)),
    "NaTs2_t": Channel(colbert(-32, -60), ohmic(50, m=3, h=1)),
    "Nap_Et2": Channel({
        "m": lambda V, Ca: (1/(1 + exp((V + 52.6)/-4.6)), 6*colbert(-38, -66)["m"](V, Ca)[1]),
        "h": lambda V, Ca: (1/(1 + exp((V + 48.8)/10)), rates(
            lambda V: -2.88e-6*(V + 17)/(1 - exp((V + 17)/4.63)),
            lambda V: 6.94e-6*(V + 64.4)/(1 - exp(-(V + 64.4)/2.63)), QT)(V, Ca)[1]),
    }, ohmic(50, m=3, h=1)),
    "K_Pst": Channel({
        "m": steady(lambda V: 1/(1 + exp(-(V + 11)/12)), lambda V: korngreen_tau(V + 10)),
        "h": steady(lambda V: 1/(1 + exp(-(V + 64)/-11)),
                    lambda V: (360 + (1010 + 24*(V + 65))*exp(-((V + 85)/48)**2))/QT),
    }, ohmic(-85, m=2, h=1)),
    "K_Tst": Channel({
        "m": steady(lambda V: 1/(1 + exp(-(V + 10)/19)), lambda V: (0.34 + 0.92*exp(-((V + 81)/59)**2))/QT),
        "h": steady(lambda V: 1/(1 + exp(-(V + 76)/-10)), lambda V: (8 + 49*exp(-((V + 83)/23)**2))/QT),
    }, ohmic(-85, m=4, h=1)),
    "SKv3_1": Channel({"m": steady(lambda V: 1/(1 + exp((V - 18.7)/-9.7)),
                                   lambda V: 0.2*20/(1 + exp((V + 46.56)/-44.14)))},
                      ohmic(-85, m=1)),
    "SK_E2": Channel({"z": lambda V, Ca: (1/(1 + (0.00043/Ca)**4.8), 1.0)}, ohmic(-85, z=1)),
    "Im": Channel({"m": rates(lambda V: 3.3e-3*exp(2.5*0.04*(V + 35)), lambda V: 3.3e-3*exp(-2.5*0.04*(V + 35)), QT)},
                  ohmic(-85, m=1)),
    "Ih": Channel({"m": rates(lambda V: 0.001*6.43*(V + 154.9)/(exp((V + 154.9)/11.9) - 1),
                              lambda V: 0.001*193*exp(V/33.1))}, ohmic(-45, m=1)),
    "Ca_HVA": Channel(dict(zip("mh", REUVENI, strict=True)), lambda s, V, Ca: s["m"]**2*s["h"]*(V - HVA(Ca)), True),
    "Ca_LVAst": Channel({
        "m": steady(lambda V: 1/(1 + exp((V + 40)/-6)), lambda V: (5 + 20/(1 + exp((V + 35)/5)))/QT),
        "h": steady(lambda V: 1/(1 + exp((V + 90)/6.4)), lambda V: (20 + 50/(1 + exp((V + 50)/7)))/QT),
    }, lambda s, V, Ca: s["m"]**2*s["h"]*(V - LVA(Ca)), True),
    "CaDynamics_E2": Channel({"Ca_i": lambda V, Ca: (1e-4, 460.0)}, lambda s, V, Ca: 0.0),
    "INa_TraubMiles": Channel({
        "m": rates(lambda V: 0.32*(13 - V + VT)/(exp((13 - V + VT)/4) - 1),
                   lambda V: 0.28*(V - VT - 40)/(exp((V - VT - 40)/5) - 1)),
        "h": rates(lambda V: 0.128*exp((17 - V + VT)/18), lambda V: 4/(1 + exp((40 - V + VT)/5))),
    }, ohmic(50, m=3, h=1)),
    "hh": Channel({
        "m": rates(lambda V: 0.1*(V + 40)/(1 - exp(-(V + 40)/10)), lambda V: 4*exp(-(V + 65)/18)),
        "h": rates(lambda V: 0.07*exp(-(V + 65)/20), lambda V: 1/(1 + exp(-(V + 35)/10))),
        "n": rates(lambda V: 0.01*(V + 55)/(1 - exp(-(V + 55)/10)), lambda V: 0.125*exp(-(V + 65)/80)),
    }, lambda s, V, Ca: 120*s["m"]**3*s["h"]*(V - 50) + 36*s["n"]**4*(V + 77) + 0.3*(V + 54.3)),
    "IKd_TraubMiles": Channel({"n": rates(lambda V: 0.032*(15 - V + VT)/(exp((15 - V + VT)/5) - 1),
                                          lambda V: 0.5*exp((10 - V + VT)/40))}, ohmic(-90, n=4)),
    "IM_Pospischil": Channel({"p": steady(lambda V: 1/(1 + exp(-(V + 35)/10)),
                                          lambda V: 1000/(3.3*exp((V + 35)/20) + exp(-(V + 35)/20)))}, ohmic(-90, p=1)),
    "IL_Pospischil": Channel(dict(zip("qr", REUVENI, strict=True)), ohmic(120, q=2, r=1), True),
    "IT_Pospischil": Channel({"u": steady(lambda V: 1/(1 + exp((V + 2 + 81)/4)), t_current)},
                             lambda s, V, Ca: (1/(1 + exp(-(V + 2 + 57)/6.2)))**2*s["u"]*(V - 120), True),
    "IT_Destexhe": Channel({
        "s": steady(lambda V: 1/(1 + exp(-(V + 52)/7.4)),
                    lambda V: (3 + 1/(exp((V + 27)/10) + exp(-(V + 102)/15)))/2.5**1.2),
        "u": steady(lambda V: 1/(1 + exp((V + 80)/5)),
                    lambda V: (85 + 1/(exp((V + 48)/4) + exp(-(V + 407)/50)))/2.5**1.2),
    }, lambda s, V, Ca: s["s"]**2*s["u"]*(V - RETICULAR(Ca)), True),
    "Ca_Destexhe": Channel({"Ca_i": lambda V, Ca: (2.4e-4, 5.0)}, lambda s, V, Ca: 0.0),
    "IA_ConnorStevens": Channel({
        "a": steady(lambda V: (0.0761*exp(0.0314*(V + 94.22))/(1 + exp(0.0346*(V + 1.17))))**(1/3),
                    lambda V: 0.3632 + 1.158/(1 + exp(0.0497*(V + 55.96)))),
        "b": steady(lambda V: (1/(1 + exp(0.0688*(V + 53.3))))**4, lambda V: 1.24 + 2.678/(1 + exp(0.0624*(V + 50)))),
    }, ohmic(-75, a=3, b=1)),
    "KA_proximal": Channel(migliore(11, -1.5, 0.55, 0.05, 0.1), ohmic(-90, n=1, l=1)),
    "KA_distal": Channel(migliore(-1, -1.8, 0.39, 0.1, 0.2), ohmic(-90, n=1, l=1)),
    "Ih_Magee": Channel({"l": steady(lambda V: 1/(1 + exp(-(V + 81)/-8)), lambda V: (
        exp(0.0378*2.2*0.4*(V + 75))/(0.011*(1 + exp(0.0378*2.2*(V + 75))))))}, ohmic(-30, l=1)),
}

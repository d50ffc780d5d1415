"""The equations of every plug-in, written a second time in plain Python, and how each one is proven with them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

RTF = 8.314472*310/96.4853415                          # mV
ION = {"K_e": 5.4, "Na_e": 140.0, "Ca_e": 1.8, "K_i": 138.0, "Na_i": 10.0, "Cl_e": 120.0, "Lambda": 1.0,
       "delLambda": 0.0}


def calcium(t: float) -> float:
    """mM"""
    return 1e-4 + 9e-4*(t/15)*math.exp(1 - t/15)


@dataclass(frozen=True)
class Proof:
    """``equations(t, V, s, given)`` -> (current, rates) with states ``s`` by name, and ``outputs`` of them.

    ``given`` holds ions, stretch and Ca_i. ``values`` are the plug-in's parameters in the run, ``clamp`` a voltage that
    is imposed instead of the host's own.
    """

    equations: Callable[[float, float, dict[str, float], dict[str, float]], tuple[float, dict[str, float]]]
    start: dict[str, float] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    outputs: Callable[[float, float, dict[str, float], dict[str, float]], dict[str, float]] | None = None
    off: dict[str, Any] = field(default_factory=dict)  # parameters under which it adds nothing
    initial: dict[str, float] = field(default_factory=dict)
    dt: float = 0.01


def i_ach(t, V, s, g):
    conductance = 10/(1 + 9.13652/0.1**0.477811)*(0.0517 + 0.4516/(1 + math.exp((V + 59.53)/17.18)))
    return conductance*(V - RTF*math.log(g["K_e"]/g["K_i"])), {}


def i_fun(t, V, s, g):
    y = s["IFun.y"]
    current = y*(0.0145654*(V - RTF*math.log(g["Na_e"]/g["Na_i"])) + 0.0234346*(V - RTF*math.log(g["K_e"]/g["K_i"])))
    target = 1/(1 + math.exp((V + 80.6)/6.8))
    return current, {"IFun.y": (target - y)*(math.exp(-2.9 - 0.04*V) + math.exp(3.6 + 0.11*V))/4000}


def i_katp(t, V, s, g):
    Ko = s["K_e"]
    mg = 1/(1 + 0.5/(0.65/math.sqrt(Ko + 5)*math.exp(-0.64*V/RTF)))
    na = 1/(1 + (g["Na_i"]/(25.9*math.exp(-0.35*V/RTF)))**2)
    half = 35.8 + 17.9*15**0.256
    open_ = 0.91/(1 + (500/half)**(1.3 + 0.74*math.exp(-0.09*15)))
    siemens = 35.375e-12*(Ko/5.4)**0.24*mg*na*1.3**0.085*open_*3.8e8         # S/cm^2: 3.8 channels/um^2
    current = 1e3*siemens*(V - RTF*math.log(Ko/g["K_i"]))                    # uA/cm^2
    return current, {"K_e": current*1e-6/96485.3415*1e6/1e-5*1e-3 - (Ko - 5.4)/1000}


def na_bondarenko(t, V, s, g):
    """By the rates between pairs of states, each pair once."""
    e = math.exp
    up = [3.802/(0.1027*e(-(V + 2.5)/w) + f*e(-(V + 2.5)/150)) for w, f in ((17, 0.2), (15, 0.23), (12, 0.25))]
    down = [0.1917*e(-(V + 2.5)/20.3), 0.2*e(-(V - 2.5)/20.3), 0.22*e(-(V - 7.5)/20.3)]
    leave, enter = 7e-7*e(-(V + 7)/7.7), 0.0084 + 0.00002*(V + 7)
    shut = 1/(0.188495*e(-(V + 7)/16.6) + 0.393956)
    pairs = [("C3", "C2", up[0], down[0]), ("C2", "C1", up[1], down[1]), ("C1", "O", up[2], down[2]),
             ("IC3", "IC2", up[0], down[0]), ("IC2", "IF", up[1], down[1]), ("C3", "IC3", enter, leave),
             ("C2", "IC2", enter, leave), ("C1", "IF", enter, leave),
             ("O", "IF", shut, up[2]*shut*leave/(down[2]*enter)), ("IF", "I1", shut/1000, leave),
             ("I1", "I2", shut/95000, leave/50)]
    p = {k.removeprefix("INa_Bondarenko."): v for k, v in s.items() if "." in k}
    change = dict.fromkeys(p, 0.0)
    for a, b, there, back in pairs:
        flow = there*p[a] - back*p[b]
        change[a] -= flow
        change[b] += flow
    E = 8.314472*298/96.4853415*math.log((0.9*g["Na_e"] + 0.1*g["K_e"])/(0.9*g["Na_i"] + 0.1*g["K_i"]))
    return 13*p["O"]*(V - E), {f"INa_Bondarenko.{k}": v for k, v in change.items()}


def pores(t, V, s, g):
    """The conductance as DeBruin and Krassowska write it, in SI."""
    N, v, w, n = s["Electroporation_DeBruinKrassowska98.N"], V/RTF, 5.25, 0.15
    up, down = w - n*v, w + n*v
    K = (math.exp(v) - 1)/((w*math.exp(up) - n*v)/up*math.exp(v) - (w*math.exp(down) + n*v)/down)
    siemens = math.pi*2.5e-9**2*1.3/5e-9*K
    field = 6.25e-5*V**2
    rate = 200*math.exp(field)*(1 - N/1.5e5*math.exp(-2.46*field))
    return siemens*1e3*N*V, {"Electroporation_DeBruinKrassowska98.N": rate}


def named(prefix):
    """The plug-in's states without its name, and a way to put it back."""
    def short(s):
        return {k.removeprefix(prefix + "."): v for k, v in s.items()}

    def full(values):
        return {f"{prefix}.{k}": v for k, v in values.items()}

    return short, full


def land17(t, V, s, g):
    short, full = named("Stress_Land17")
    y, ca, lam = short(s), 1000*g["Ca_i"], min(g["Lambda"], 1.2)
    free = 1 - y["TmBlocked"] - y["XS"] - y["XW"]
    kb = 0.35**5/(0.75 - 0.75*0.5)
    A = 25*0.25/(0.75*0.5 + 0.25)
    cw, cs = 2.23*0.182*0.5/0.5, 2.23*0.012*0.75*0.5/0.25
    zs = y["ZETAS"]
    gs = 0.0085*max(zs*(zs > 0), (-1 - zs)*(zs < -1))
    return 0.0, full({
        "TRPN": 0.1*((ca/(0.805 - 2.4*(lam - 1)))**2*(1 - y["TRPN"]) - y["TRPN"]),
        "TmBlocked": kb*min(100, y["TRPN"]**-2.5)*free - y["TRPN"]**2.5*y["TmBlocked"],
        "XW": 0.182*free - 0.182*y["XW"] - 0.615*abs(y["ZETAW"])*y["XW"],              # kwu + kws = kuw(1/rw - 1)
        "XS": 0.012*y["XW"] - (0.012*0.5*3 + gs)*y["XS"],
        "ZETAW": A*g["delLambda"] - cw*y["ZETAW"], "ZETAS": A*g["delLambda"] - cs*zs})


def land17_tension(t, V, s, g):
    y, lam = named("Stress_Land17")[0](s), min(g["Lambda"], 1.2)
    h = max(0, 1 + 2.3*(lam + min(lam, 0.87) - 1.87))
    return {"Tension": h*120/0.25*((1 + y["ZETAS"])*y["XS"] + y["ZETAW"]*y["XW"])}


def memory(Q, a=0.35):
    return (a*Q + 1)/(1 - Q) if Q < 0 else (1 + (a + 2)*Q)/(1 + Q)


def land12(t, V, s, g):
    short, full = named("Stress_Land12")
    y, ca, lam, dl = short(s), 1000*g["Ca_i"], min(g["Lambda"], 1.2), g["delLambda"]
    on = (y["TRPN"]/0.35)**2.5
    return 0.0, full({"TRPN": 0.1*((ca/(0.8*(1 - 1.5*(lam - 1))))**2*(1 - y["TRPN"]) - y["TRPN"]),
                      "XB": 0.1*(on*(1 - y["XB"]) - min(100, 1/on)*y["XB"]),
                      "Q1": -29*dl - 0.15*y["Q1"], "Q2": 116*dl - 0.5*y["Q2"]})


def land12_tension(t, V, s, g):
    y, lam = named("Stress_Land12")[0](s), min(g["Lambda"], 1.2)
    h = max(0, 1 + 1.65*(lam + min(lam, 0.87) - 1.87))
    return {"Tension": 120*h*memory(y["Q1"] + y["Q2"])*y["XB"]}


def nhs_tension(t, V, s, g):
    y, e = named("Stress_NHS")[0](s), g["Lambda"] - 1
    c50 = 0.00105*(1 - 4*e)
    half = c50/(c50 + 0.002*(1 - (1 + 4.9*e)/4))                                      # of TRPN_max
    hill, kz = 0.85**3, 0.15**3
    slope = 0.00175*3*0.85**2*kz/(hill + kz)**2
    rest = 0.00175*hill/(hill + kz) - slope*0.85                                      # tangent at z_p
    full = 0.008/half**3
    z_max = (full - rest)/(0.002 + slope + full)
    return {"Tension": 56.2*(1 + 4.9*e)*y["z"]/z_max*memory(y["Q1"] + y["Q2"] + y["Q3"])}


def nhs(t, V, s, g):
    short, full = named("Stress_NHS")
    y, dl, e = short(s), g["delLambda"], g["Lambda"] - 1
    c50 = 0.00105*(1 - 4*e)
    half = 0.07*c50/(c50 + 0.002*(1 - (1 + 4.9*e)/4))
    off = 0.2*max(0.1, 1 - nhs_tension(t, V, s, g)["Tension"]/112.4)
    z3 = y["z"]**3
    return 0.0, full({"TRPN": 100*g["Ca_i"]*(0.07 - y["TRPN"]) - off*y["TRPN"],
                      "z": 0.008*(y["TRPN"]/half)**3*(1 - y["z"]) - 0.002*y["z"] - 0.00175*z3/(z3 + 0.15**3),
                      "Q1": -29*dl - 0.03*y["Q1"], "Q2": 138*dl - 0.13*y["Q2"], "Q3": 129*dl - 0.625*y["Q3"]})


def rice_overlap(SL):
    single = min(1.65, SL)/2 - max(1.2 - SL/2, 0.05)
    return 2*single/1.55, single/1.2


def rice(t, V, s, g):
    short, full = named("Stress_Rice")
    y, ca, SL, dSL = short(s), 1000*g["Ca_i"], 1.9*g["Lambda"], 1.9*g["delLambda"]
    thick, thin = rice_overlap(SL)
    bound = (1 - thin)*y["TRPNCaL"] + thin*y["TRPNCaH"]
    open_ = (1 + (0.5/bound)**15)**-0.5
    pre, post = y["xXBprer"]/0.007, y["xXBpostr"]/0.007 - 1
    P = 1 - y["XN"] - y["XBprer"] - y["XBpostr"]
    N_P, P_N = 0.5*open_, 0.05*min(100, 1/open_)
    f, gap = 0.5, 0.07*(7 - 6*thick)
    h = 2*math.exp(-5*math.copysign(pre**2, pre))
    gx = 0.07*math.exp((8 if post < 0 else 1)*post**2)
    all_ = f*h + gx*h + gx*gap + 0.4*f + 0.4*gap + gx*f
    return 0.0, full({
        "TRPNCaL": 0.05*ca*(1 - y["TRPNCaL"]) - 0.25*y["TRPNCaL"],
        "TRPNCaH": 0.05*ca*(1 - y["TRPNCaH"]) - 0.025*y["TRPNCaH"],
        "XN": P_N*P - N_P*y["XN"],
        "XBprer": f*P - gap*y["XBprer"] - h*y["XBprer"] + 0.4*y["XBpostr"],
        "XBpostr": h*y["XBprer"] - (0.4 + gx)*y["XBpostr"],
        "xXBprer": dSL/2 + 2*all_/((0.4 + gx)*f)*(0.4*(y["xXBpostr"] - 0.007 - y["xXBprer"]) - f*y["xXBprer"]),
        "xXBpostr": dSL/2 + 2*all_/(f*h)*h*(0.007 + y["xXBprer"] - y["xXBpostr"])})


def rice_tension(t, V, s, g):
    y, thick = named("Stress_Rice")[0](s), rice_overlap(1.9*g["Lambda"])[0]
    most = 0.5*2/(0.07*2 + 0.5*2 + 0.07*0.07 + 0.4*0.5 + 0.4*0.07 + 0.07*0.5)
    return {"Tension": 120*thick*(y["xXBpostr"]*y["XBpostr"] + y["xXBprer"]*y["XBprer"])/(0.007*most)}


def lumens(t, V, s, g):
    y, since, Ls = named("Stress_Lumens")[0](s), t, 2*g["Lambda"]
    x = min(8, since/48)
    C, L = y["C"], y["L_sc"]
    decay = (0.02 - C)/32/(1 + math.exp((425*(0.29 + 0.3*L) - since)/32))
    return 0.0, {"Stress_Lumens.L_sc": 0.007*((Ls - L)/0.04 - 1),
                 "Stress_Lumens.C": math.tanh(4*(L - 1.51)**2)*0.02*x**3*(8 - x)**2*math.exp(-x)/48 + decay}


def lumens_stress(t, V, s, g):
    y, Ls = named("Stress_Lumens")[0](s), 2*g["Lambda"]
    return {"Tension": 120*y["C"]*(y["L_sc"] - 1.51)*(Ls - y["L_sc"])/0.04}


def twitch(since, lam=1.0, peak=100.0):
    """kPa, Niederer 2011."""
    phi, s = max(0.0, math.tanh(5*(lam - 0.7))), since - 15
    if not 0 < s < 550:
        return 0.0
    return peak*phi*(math.tanh(s/(40 + 500*(1 - phi)))*math.tanh((550 - s)/110))**2


STRETCHED = {"Lambda": 1.06, "delLambda": -5e-4}       # a muscle that shortens
rest_12, rest_17 = (0.1/(0.8*(1 - 0.09)))**2, (0.1/(0.805 - 0.144))**2
REST_NA = {"O": 0.713483e-6, "C1": 0.279132e-3, "C2": 0.020752, "IF": 0.153176e-3, "I1": 0.673345e-6,
           "I2": 0.155787e-8, "IC2": 0.0113879, "IC3": 0.34278}
REST_NA["C3"] = 1 - sum(REST_NA.values())


def stretch_activated(t, V, s, g):
    part = (g["Lambda"] - 1)/0.1
    return 0.006*part*(V + 10) + 0.2882*800/210*part/(1 + math.exp((19.05 - V)/29.98)), {}


def shock(t, V, s, g):
    return math.exp(0.09*(V - 100)) if V <= 160 else math.exp(5.4)*(1 + 0.09*(V - 160)), {}


def nash_panfilov(t, V, s, g):
    u = max(0, (V + 80)/100)
    return 0.0, {"Tension": (1 if u < 0.05 else 10)/12.9*(47.9*u - s["Tension"])}


def channelrhodopsin(light, warm=1.485):
    """By photons, as the authors' code counts them; ``light`` in mW/mm^2, ``warm`` in tens of K above 22 C."""
    def rates(t, V, s, g):
        short, full = named("IChR2_Williams")
        y = short(s)
        photons = 1000*light/(1e9*1.986446e-25/470)*12e-20/(1.3*1000)*y["p"]
        switch = 0.5*(1 + math.tanh(120*(100*light - 0.1)))
        pairs = [("C1", "O1", 0.8535*1.46**warm*photons, (0.075 + 0.043*math.tanh((V + 20)/-20))*1.97**warm),
                 ("O1", "O2", 0.011*1.1**warm + 0.005*math.log(1 + light/0.024),
                  0.008*1.95**warm + 0.004*math.log(1 + light/0.024)),
                 ("C2", "O2", 0.14*2.77**warm*photons, 0.05*1.77**warm),
                 ("C2", "C1", 4.34587e-5*math.exp(-0.0211539274*V)*2.56**warm, 0.0)]
        change = dict.fromkeys(y, 0.0) | {"p": (switch - y["p"])/1.3}
        for a, b, there, back in pairs:
            flow = there*y[a] - back*y[b]
            change[a] -= flow
            change[b] += flow
        fit = (10.6408 - 14.6408*math.exp(-V/42.7671))/V                   # G(V), for a reversal at 0 mV
        return 0.4*fit*V*(y["O1"] + 0.1*y["O2"]), full(change)

    return rates


def late_sodium(t, V, s, g):
    short, full = named("INaL_OHara")
    y, e = short(s), math.exp
    opened = y["m"]*(0.7*y["h"] + 0.3*y["hp"])
    E = 8314*310/96485*math.log(g["Na_e"]/g["Na_i"])
    return 0.0075*opened*(V - E), full({
        "m": (1/(1 + e((V + 42.85)/-5.264)) - y["m"])*(6.765*e((V + 11.64)/34.77) + 8.552*e(-(V + 77.42)/5.955)),
        "h": (1/(1 + e((V + 87.61)/7.488)) - y["h"])/200, "hp": (1/(1 + e((V + 93.81)/7.488)) - y["hp"])/600})


LATE = {"m": 1/(1 + math.exp(37.15/5.264)), "h": 1/(1 + math.exp(7.61/7.488)), "hp": 1/(1 + math.exp(13.81/7.488))}


def fibroblast_current(V, r, s):
    """pA/pF"""
    inward = (3*math.exp(0.0002*(V + 187)) + math.exp(0.1*(V + 77)))/(1 + math.exp(-0.5*(V + 87)))
    outward = 0.1/(1 + math.exp(0.06*(V - 113)))
    pump = 2.002*5.3581/(5.3581 + 1)/(1 + (11/8.5547)**1.5)*(V + 150)/(V + 200)
    leak = 0.0095*(V - 8.314472*306.15/96.4853415*math.log(130.011/8.5547))
    return (0.25*r*s + 0.4822*outward/(outward + inward))*(V + 87) + pump + leak


def fibroblast(t, V, s, g):
    short, full = named("Fibroblast_MacCannell")
    y = short(s)
    v, gap = y["V_f"], 3*(V - y["V_f"])                                                 # pA
    return 2*gap/185, full({
        "V_f": (gap - 6.3*fibroblast_current(v, y["r"], y["s"]))/6.3,
        "r": (1/(1 + math.exp((-20 - v)/11)) - y["r"])/(20.3 + 138*math.exp(-((v + 20)/25.9)**2)),
        "s": (1/(1 + math.exp((v + 23)/7)) - y["s"])/(1574 + 5268*math.exp(-((v + 23)/22.7)**2))})


def stretch_human(t, V, s, g):
    """In the units of the authors' code: conductances in mS of a whole cell, its capacitance in uF."""
    x, F, RT = g["Lambda"] - 1, 96485.0, 8314.0*310.0
    E_Na, E_K = RT/F*math.log(g["Na_e"]/g["Na_i"]), RT/F*math.log(g["K_e"]/g["K_i"])
    C = (x**4/(0.035**4 + x**4) + 1)*1.534e-4
    G = 10.3203e-6*x**4.47/(x**4.47 + 0.001248)*0.2203e1*(2*x**3/(0.15**3 + x**3))*0.25
    cations = (1.4110*G*(V - E_Na) + G*(V - E_K))/C
    potassium = 12.8208e-6*((0.8742*x + 0.7)/(1 + math.exp(-(10 + V)/45))*(V - E_K))/C/35

    def activity(strength):
        root = math.sqrt(strength)
        return math.exp(-1.82e6*(74*310.0)**-1.5*4*(root/(1 + root) - 0.3*strength))

    inside = activity(0.5*(g["Na_i"] + g["K_i"] + 24 + 4*g["Ca_i"])/1000)
    outside = activity(0.5*(g["Na_e"] + g["K_e"] + g["Cl_e"] + 4*g["Ca_e"])/1000)
    e = math.exp(2*V*F/RT)
    calcium_ = 10.08e-6*x*4*V*F*F/RT*(inside*g["Ca_i"]*e - outside*g["Ca_e"])/(e - 1)
    return cations + potassium + calcium_, {}


def kerckhoffs(length, contractile, since):
    """kPa at a sarcomere length in um, ``since`` ms after the upstroke."""
    force = 180*math.tanh(2*(contractile - 1.5))**2 if contractile > 1.5 else 0.0
    end = 150*(length + 0.4)
    twitch_ = (math.tanh(since/75)*math.tanh((end - since)/75))**2 if since < end else 0.0
    return length/1.9*force*twitch_*(length - contractile)*20


def kerckhoffs_stress(t, V, s, g):
    return {"Tension": kerckhoffs(1.9*g["Lambda"], s["Stress_Kerckhoffs.l_c"], t)}


REGAZZONI = {"N0": 1.0, **dict.fromkeys(("N1", "N2", "P0", "P1", "P2", "N0c", "N1c", "N2c", "P0c", "P1c", "P2c", "M0_P",
                                         "M1_P", "M0_N", "M1_N"), 0.0)}


def overlap(SL):
    """Of the filaments, piece by piece, as Regazzoni writes it (um)."""
    return np.interp(SL, [1.25, 1.65, 2.32, 2.68, 4.15], [0, 0.4, 0.735, 0.735, 0])/0.735


def regazzoni(t, V, s, g):
    """By the 16 probabilities x[left, centre, right, calcium] of the paper, per second."""
    short, full = named("Stress_Regazzoni20")
    y, SL = short(s), 2.2*g["Lambda"]
    x, up, down = np.zeros((2, 2, 2, 2)), np.zeros((2, 2, 2, 2)), np.zeros((2, 2, 2, 2))
    for left in (0, 1):
        for right in (0, 1):
            n = left + right
            for c, mark in ((0, ""), (1, "c")):
                for centre, kind in ((0, "N"), (1, "P")):
                    x[left, centre, right, c] = y[f"{kind}{n}{mark}"]/(2 if n == 1 else 1)
                up[left, 0, right, c] = 2*13*12**n*(1 if c else 0.1)
                down[left, 1, right, c] = 13*12**(2 - n)
    flip = (up + down)*x                                          # of the centre
    with np.errstate(invalid="ignore"):
        beside = np.nan_to_num(flip.sum(axis=(0, 3))/x.sum(axis=(0, 3)))      # of a unit, by its own and right state
    turns = [beside[:, :, None, None]*x, flip, beside.T[None, :, :, None]*x, x.copy()]
    turns[3][..., 0] *= 100/(0.381 + 0.571*(2.15 - SL))*1000*g["Ca_i"]
    turns[3][:, 0, :, 1] *= 100
    turns[3][:, 1, :, 1] *= 10
    rate = sum(np.flip(turn, axis) - turn for axis, turn in enumerate(turns))
    change = {}
    for kind, centre in (("N", 0), ("P", 1)):
        for mark, c in (("", 0), ("c", 1)):
            part = rate[:, centre, :, c]
            change |= {f"{kind}0{mark}": part[0, 0], f"{kind}1{mark}": part[0, 1] + part[1, 0],
                       f"{kind}2{mark}": part[1, 1]}
    perm = x[:, 1].sum()
    shut = flip[:, 1].sum()/perm if perm else 0.0
    open_ = flip[:, 0].sum()/(1 - perm)
    v = -1000*g["delLambda"]
    detach = 134.31 + 25.184*abs(v)
    A = np.array([[-detach - shut, 0, open_, 0], [-v, -detach - shut, 0, open_],
                  [shut, 0, -detach - open_, 0], [0, shut, -v, -detach - open_]])
    moments = ["M0_P", "M1_P", "M0_N", "M1_N"]
    flow = A @ [y[m] for m in moments] + perm*np.array([32.653, 0.778, 0, 0])
    change |= dict(zip(moments, flow, strict=True))
    return 0.0, full({name: float(value)/1000 for name, value in change.items()})


def regazzoni_tension(t, V, s, g):
    y = named("Stress_Regazzoni20")[0](s)
    return {"Tension": 22894*(y["M1_P"] + y["M1_N"])*float(overlap(2.2*g["Lambda"]))}


def sachse(t, V, s, g):
    """In SI, rates by pairs of states."""
    short, full = named("Fibroblast_Sachse")
    y = short(s)
    v, RTF = y["V_f"]/1000, 8.31*295/96500
    move, back = 30*math.exp(1.28*v/RTF), 2*math.exp(-1.53*v/RTF)
    pairs = [("C0", "C1", 4*move, back), ("C1", "C2", 3*move, 2*back), ("C2", "C3", 2*move, 3*back),
             ("C3", "C4", move, 4*back), ("C4", "O", 77, 18)]
    change = dict.fromkeys(y, 0.0)
    for a, b, there, here in pairs:
        flow = (there*y[a] - here*y[b])/1000
        change[a] -= flow
        change[b] += flow
    E_K = RTF*math.log(5/140)
    shaker = 5.4e-18*y["O"]*96500*v/RTF*(140 - 5*math.exp(-v/RTF))/(1 - math.exp(-v/RTF))
    rectifier = 1e-9*math.sqrt(5e-3)/(0.94 + math.exp(1.26*(v - E_K)/RTF))*(v - E_K)
    gap = 3e-9*(V/1000 - v)
    change["V_f"] = (gap - shaker - rectifier - 6.9e-12*v)/4.5e-12
    return 2*gap*1e12/185, full(change)


MOVED = 15*math.exp(2.81*-0.058*96500/(8.31*295))
RESTING = {f"C{n}": math.comb(4, n)*MOVED**n for n in range(5)} | {"O": 77/18*MOVED**4}
RESTING = {name: weight/sum(RESTING.values()) for name, weight in RESTING.items()}


PROOFS = {
    "Fibroblast_Sachse": Proof(sachse, named("Fibroblast_Sachse")[1]({"V_f": -58, **RESTING}), {"number": 2},
                               off={"number": 0}),
    "Stress_Regazzoni20": Proof(regazzoni, named("Stress_Regazzoni20")[1](REGAZZONI),
                                {"Lambda": 0.95, "delLambda": -5e-4}, regazzoni_tension, {"a_XB": 0}),
    "IChR2_Williams": Proof(channelrhodopsin(1.0),
                            named("IChR2_Williams")[1]({"p": 0, "C1": 1, "O1": 0, "O2": 0, "C2": 0}), {"illum": 1},
                            off={"illum": 0}),
    "INaL_OHara": Proof(late_sodium, named("INaL_OHara")[1](LATE), {"fp_CaMK": 0.3}, off={"GNaL": 0}),
    "Fibroblast_MacCannell": Proof(
        fibroblast, named("Fibroblast_MacCannell")[1]({"V_f": -49.6, "r": 1/(1 + math.exp(29.6/11)),
                                                       "s": 1/(1 + math.exp(-26.6/7))}),
        {"number": 2}, off={"number": 0}),
    "ISAC_Buonocunto": Proof(stretch_human, values={"Lambda": 1.06}, off={"Lambda": 1, "GKo": 0}),
    "Stress_Kerckhoffs": Proof(
        lambda t, V, s, g: (0.0, {"Stress_Kerckhoffs.l_c": (20*(1.9*1.06 - s["Stress_Kerckhoffs.l_c"]) - 1)*0.0075}),
        {"Stress_Kerckhoffs.l_c": 1.9*1.06 - 0.05}, {"Lambda": 1.06, "V_th": 1000}, kerckhoffs_stress, {"T_0": 0},
        initial={"Stress_Kerckhoffs.since": 0}),
    "Stress_NashPanfilov": Proof(nash_panfilov, {"Tension": 0}, off={"k_Ta": 0}),
    "Defib_AshiharaTrayanova": Proof(shock, off={"scale": 0}),
    "ISAC_Pueyo": Proof(stretch_activated, values={"Lambda": 1.06}, off={"Lambda": 1}),
    "Electroporation_DeBruinKrassowska98": Proof(
        pores, named("Electroporation_DeBruinKrassowska98")[1]({"N": 1.5e5*math.exp(2.46*0.4)}),
        off={"scale": 0}),
    "INa_Bondarenko": Proof(na_bondarenko, named("INa_Bondarenko")[1](REST_NA), off={"GNa": 0}),
    "Stress_Land12": Proof(
        land12, named("Stress_Land12")[1]({"TRPN": rest_12/(1 + rest_12), "XB": 0, "Q1": 0, "Q2": 0}), STRETCHED,
        land12_tension, off={"Tref": 0}),
    "Stress_Land17": Proof(
        land17, named("Stress_Land17")[1]({"TRPN": rest_17/(1 + rest_17), "TmBlocked": 1, "XW": 0, "XS": 0,
                                           "ZETAW": 0, "ZETAS": 0}), STRETCHED, land17_tension, off={"Tref": 0}),
    "Stress_Lumens": Proof(
        lumens, {"Stress_Lumens.L_sc": 2.12 - 0.04, "Stress_Lumens.C": 0.02}, {"Lambda": 1.06, "V_th": 1000},
        lumens_stress, {"sigma_act": 0}, initial={"Stress_Lumens.since": 0}),
    "Stress_NHS": Proof(
        nhs, named("Stress_NHS")[1]({"TRPN": 0.07*0.01/0.21, "z": 0, "Q1": 0, "Q2": 0, "Q3": 0}),
        STRETCHED, nhs_tension, off={"Tref": 1}),
    "Stress_Niederer": Proof(
        lambda t, V, s, g: (0.0, {}), {}, {"Lambda": 1.06, "V_th": 1000},
        lambda t, V, s, g: {"Tension": twitch(t, 1.06)}, {"T_peak": 0}, initial={"Stress_Niederer.since": 0}),
    "Stress_Rice": Proof(
        rice, named("Stress_Rice")[1]({"TRPNCaL": 0.005/0.255, "TRPNCaH": 0.005/0.03, "XN": 1, "XBprer": 0,
                                       "XBpostr": 0, "xXBprer": 0, "xXBpostr": 0.007}),
        STRETCHED, rice_tension, off={"T_max": 0}),
    "I_ACh": Proof(i_ach, values={"ACh": 0.1}, off={"ACh": 0}),
    "IFun": Proof(i_fun, {"IFun.y": 1/(1 + math.exp(0.6/6.8))}, off={"GfNa": 0, "GfK": 0}),
    "IKATP_Ferrero": Proof(i_katp, {"K_e": 5.4}, {"ATP_i": 0.5, "clefts": "OPEN"}, off={"sigma": 0}),
}

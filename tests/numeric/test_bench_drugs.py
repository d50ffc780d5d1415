"""Drugs: the conductance of a current, Hill blocks, and drugs that bind to Markov channels."""

import numpy as np
import pytest

from upstroke.bench.binding import bind, chain_of, concentration_of
from upstroke.bench.currents import conductance, terms
from upstroke.bench.drugs import dosed, doses, parse_block, with_binding
from upstroke.bench.population import Population
from upstroke.errors import ModelError, OptionError
from upstroke.ionic.evaluate import advance, initial_state, quantities, rates, value_of
from upstroke.ionic.library import load_model, read_model

SMALL = """
V; .external(Vm); Iion; .external();
group { GKr = 0.2; PCa = 3; GNa = 14; GNaC = 0.003; Cm = 2; F = 96; GKs = 1; sKs = 1; gKs = 2; Gb = 0.1; } .param();
V_init = -80;  w_init = 0.5;  Cai_init = 1;
diff_w = -w/100;
E = -85*w;
phi = F*expm1(V/25);
I_Kr = GKr*w*(V - E);
ICa = PCa*w*phi;
ICaK = 0.1*PCa*(V - E);
INa_j = 0.1*GNa*(V - 50);
INa_s = 0.9*GNa*(V - 50);
Ileak = (Gb + GNaC)*(V - E);
IKs = GKs*sKs*w*V;
Ix = gKs*Cm*V;
Itot = INa_j + INa_s - 2*I_Kr;
Iion = (Itot + ICa + ICaK + Ileak + IKs + Ix + 3*I_Kr)/Cm;
diff_Cai = -ICa/(2*F) - 0.1*ICaK;
"""

GATED = """
V; .external(Vm); Iion; .external(); V_init = 0; m_init = 0.1;
m_inf = 1/(1 + exp(-V/10)); tau_m = 3; g = 0.1; .param();
I = g*m*V; Iion = I;
"""

CHAIN = """
V; .external(Vm); Iion; .external(); g = 1; .param();
V_init = 0;  O_init = 0.2;  A_init = 0.3;
a = 0.3*exp(V/40);
C = 1 - (O + A);
flow = a*C - 0.2*O;
diff_O = flow + 0.1*A - 0.05*O;
diff_A = 0.05*O - 0.1*A;
group { O; A; } .method(markov_be);
I = g*O*V;
Iion = I;
"""

TWO = "P_init = 0.5; diff_P = S - P; S = 1 - P; J = (O + P)*V;"


@pytest.fixture(scope="module")
def small():
    return read_model(SMALL)


def error(kind, call, *args):
    with pytest.raises(kind) as caught:
        call(*args)
    return str(caught.value)


# --------------------------------------------------------------------------------------------- currents
@pytest.mark.parametrize("name", ["Tomek", "Grandi", "Severi", "Decker", "MitchellSchaeffer", "AlievPanfilov"])
def test_the_terms_add_up_to_iion(name):
    model = load_model(name)
    state = initial_state(model)
    names = quantities(model, -20.0, state)
    found = terms(model)
    total = value_of(found.rest, names) + sum(value_of(f, names)*names[n] for n, f in found.factors.items())
    assert total == pytest.approx(names["Iion"], rel=1e-12, abs=1e-12)


def test_sums_of_currents_are_taken_apart_and_factors_collected(small):
    found = terms(small)
    assert set(found.factors) == {"INa_j", "INa_s", "I_Kr", "ICa", "ICaK", "Ileak", "IKs", "Ix"}
    assert value_of(found.factors["I_Kr"], {"Cm": 2.0}) == 0.5 and value_of(found.factors["ICa"], {"Cm": 2.0}) == 0.5


def test_a_current_whose_parts_have_its_name_stays_whole():
    found = terms(load_model("Tomek"))
    assert "ICaL" in found.factors and {"ICaL_i", "ICaL_ss"} <= found.parts
    assert "INaK" in found.factors and "JnakNa" not in found.factors
    assert "INa_junc" in terms(load_model("Grandi")).factors


@pytest.mark.parametrize("name, parameter, currents", [
    ("IKr", "GKr", ("I_Kr",)), ("G_Kr", "GKr", ("I_Kr",)), ("ICa", "PCa", ("ICa", "ICaK")),
    ("PCa", "PCa", ("ICa", "ICaK")),
    ("INa", "GNa", ("INa_j", "INa_s")), ("INa_s", "GNa", ("INa_j", "INa_s")),
    ("IKs", "GKs", ("IKs",)),                              # and sKs, which does the same
    ("Ix", "gKs", ("Ix",)),
])
def test_the_conductance_of_a_current(small, name, parameter, currents):
    found = conductance(small, name)
    assert (found.parameter, set(found.currents)) == (parameter, set(currents))


@pytest.mark.parametrize("model, current, parameter", [
    ("TT2", "IKr", "Gkr"), ("TT2", "I_CaL", "GCaL"), ("TT2", "INaK", "knak"), ("OHara", "ICaL", "PCa"),
    ("OHara", "INaK", "Pnak"), ("Tomek", "ICaL", "PCa"), ("Tomek", "IKr", "GKr"), ("Fink", "I_Kr", "Gkr"),
    ("Courtemanche", "IKur", "factorGKur"),
    ("Grandi", "INa", "GNa"), ("Severi", "ICaT", "PCaT"), ("Nygren", "INa", "P_Na"), ("Shannon", "IKr", "Gkr"),
])
def test_the_conductances_of_shipped_models(model, current, parameter):
    assert conductance(load_model(model), current).parameter == parameter


LIST = "conductances: GKr, PCa, GNa, GKs, sKs, gKs"


@pytest.mark.parametrize("name, what, remedy", [
    ("IKx", "no current or conductance 'IKx'", "did you mean 'Ix'?"),
    ("Ileak", "Ileak is proportional to no parameter that changes nothing but currents", LIST),
    ("F", "F is no conductance: it changes more than currents", LIST),
    ("Gb", "Gb is no conductance: it changes more than currents", LIST),
])
def test_errors_of_a_conductance(small, name, what, remedy):
    assert error(ModelError, conductance, small, name) == f"model model: {what}\n  -> {remedy}"


def test_a_current_with_two_conductances():
    assert error(ModelError, conductance, load_model("Maltsev"), "IfNa") == (
        "model Maltsev: IfNa is proportional to Gf and fNa\n  -> name one of them instead of IfNa")


def test_a_model_without_conductances():
    assert error(ModelError, conductance, load_model("MitchellSchaeffer"), "J_in") == (
        "model MitchellSchaeffer: J_in is proportional to no parameter that changes nothing but currents\n"
        "  -> the model has no conductances")


def test_names_that_may_be_two():
    model = read_model(SMALL.replace("Iion = (", "IKR = GKr*V;\nIion = (IKR + "))
    assert error(ModelError, conductance, model, "I_KR") == (
        "model model: 'I_KR' may be I_Kr or IKR\n  -> give it as it is spelled there")


# --------------------------------------------------------------------------------------------- Hill blocks
def test_half_of_a_current_is_left_at_ic50(small):
    of = doses(small, [parse_block("IKr:IC50=3,hill=0.9,conc=3")])
    assert of.count == 1 and list(of.columns["conc_IKr"]) == [3] and of.factors["GKr"] == pytest.approx([0.5])
    assert of.effects == ("IKr: GKr * 0.5",)


def test_a_sweep_is_a_batch_of_cells(small):
    cells, of = dosed(small, [parse_block("IKr:IC50=1,hill=2,conc=0.1:10:3; ICa:IC50=5")], Population(1, {}, {}))
    assert cells.n == 3 and of.columns["conc_IKr"] == pytest.approx([0.1, 1, 10])
    assert cells.parameters["GKr"] == pytest.approx(0.2/(1 + np.array([0.01, 1, 100])))
    assert cells.parameters["PCa"] == pytest.approx(3/(1 + np.array([0.02, 0.2, 2])))
    assert of.effects == ("IKr: GKr * 0.00990099 to 0.990099",
                          "ICa: PCa * 0.333333 to 0.980392, which scales ICa, ICaK")


def test_two_drugs_multiply_and_meet_at_all_concentrations(small):
    drugs = [parse_block("IKr:IC50=1,conc=0,1"), parse_block("ICa:IC50=1,conc=0,1,3; GKr:IC50=3")]
    cells, of = dosed(small, drugs, Population(2, {"GKr": np.array([0.2, 0.4])}, {"V": np.array([-80., -85])}))
    assert cells.n == 12
    assert list(of.columns["conc_IKr"]) == [0]*6 + [1]*6 and list(of.columns["conc_ICa"]) == [0, 0, 1, 1, 3, 3]*2
    assert cells.parameters["GKr"][:6] == pytest.approx([0.2, 0.4, 0.15, 0.3, 0.1, 0.2])
    assert cells.parameters["GKr"][6:] == pytest.approx([0.1, 0.2, 0.075, 0.15, 0.05, 0.1])
    assert list(cells.initial["V"]) == [-80, -85]*6


FORM = 'write "IKr:IC50=1.2,hill=0.9,conc=3" or "IKr:kon=2,koff=0.01,states=O|I,conc=3"'


@pytest.mark.parametrize("text, what, remedy", [
    ("IKr", "cannot read 'IKr'", FORM),
    ("IKr:3", "cannot read 'IKr:3'", FORM),
    (":IC50=1", "cannot read ':IC50=1'", FORM),
    ("IKr:IC50=1,conc=1;", "cannot read ''", FORM),
    ("IKr:IC60=1", "'IKr:IC60=1': no value is called 'IC60'", "did you mean 'IC50'?"),
    ("IKr:IC50=1,ic50=2", "'IKr:IC50=1,ic50=2': IC50 is given twice", "keep one"),
    ("IKr:IC50=1,kon=2,conc=3", "'IKr:IC50=1,kon=2,conc=3': IC50 and kon belong to different kinds of block", FORM),
    ("IKr:conc=3", "'IKr:conc=3' has no IC50", FORM),
    ("IKr:kon=1,conc=3", "'IKr:kon=1,conc=3' has no koff", FORM),
    ("IKr:IC50=x,conc=3", "'IKr:IC50=x,conc=3': 'x' is no number", "give finite numbers"),
    ("IKr:IC50=0,conc=3", "'IKr:IC50=0,conc=3': IC50 is 0", "give a positive number"),
    ("IKr:kon=-1,koff=1,conc=3", "'IKr:kon=-1,koff=1,conc=3': kon is -1", "give a positive number"),
    ("IKr:IC50=1", "'IKr:IC50=1' has no concentration", "add conc=3, conc=0,1,10 or conc=0.1:100:7"),
    ("IKr:IC50=1,conc=1;INa:IC50=1,conc=2", "'INa:IC50=1,conc=2': conc is given twice for one drug",
     "keep one, or give a --block to each drug"),
    ("IKr:IC50=1,conc=1,-2", "'IKr:IC50=1,conc=1,-2': a concentration is -2", "give numbers from 0 on"),
    ("IKr:IC50=1,conc=0:1:3", "'IKr:IC50=1,conc=0:1:3': conc=0:1:3 is no sweep",
     "write conc=FROM:TO:COUNT with 0 < FROM < TO and COUNT from 2 on, say conc=0.1:100:7"),
])
def test_errors_of_block(text, what, remedy):
    assert error(OptionError, parse_block, text) == f"--block: {what}\n  -> {remedy}"


def test_two_drugs_with_one_name(small):
    drugs = [parse_block("IKr:IC50=1,conc=1")]*2
    assert error(OptionError, doses, small, drugs) == (
        "--block: two drugs name IKr first\n  -> name another target of one of them first")


# --------------------------------------------------------------------------------------------- Markov channels
CHANNELS = [("Tomek", (), "IKr"), ("Bondarenko", (), "ICaL"), ("Bondarenko", (), "INa"), ("Winslow", (), "ICa"),
            ("TT2", ("INa_Bondarenko",), "INa_Bondarenko.I_Na")]


@pytest.mark.parametrize("name, current, members", [
    ("Tomek", "IKr", "C1 C2 C3 O I"), ("Fink", "I_Kr", "Cr2 Cr3 Or4 Ir5 Cr1"),
    ("Bondarenko", "ICaL", "O C2 C3 C4 I1 I2 I3 C1"), ("Bondarenko", "IKr", "OK CK1 CK2 IK CK0"),
    ("Winslow", "ICaK", "O OCa C0 C1 C2 C3 C4 CCa0 CCa1 CCa2 CCa3 CCa4"),
    ("MahajanShiferaw", "ICaL", "c1 c2 xi1ca xi1ba xi2ca xi2ba po"),
])
def test_the_chain_of_a_current(name, current, members):
    assert " ".join(chain_of(load_model(name), current).members) == members


def scheme(model, members, V, **parameters):
    """d(members)/dt as a matrix, and the rates that a rest state given by closure does not have."""
    states = initial_state(model)
    evolving = [m for m in members if m in states]
    one = np.eye(len(evolving) + 1)[:, :-1]                # of a row each state in turn is 1, of the last row none
    found = rates(model, V, states | dict(zip(evolving, one.T, strict=True)), parameters=parameters)[1]
    slopes = np.array([np.broadcast_to(found[n], len(one)) for n in evolving])
    return evolving, slopes[:, :-1] - slopes[:, -1:], slopes[:, -1].copy()


def occupancy(model, chain, V, **parameters):
    """The equilibrium of a doubled chain at constant V: every state's share, with and without drug."""
    members = [*chain.members, *(f"{m}_drug" for m in chain.members)]
    evolving, Q, constant = scheme(model, members, V, **parameters)
    if chain.rest:
        share = dict(zip(evolving, np.linalg.solve(Q, -constant), strict=True))
        return share | {chain.rest: 1 - sum(share.values())}
    Q[-1], constant[-1] = 1, -1
    return dict(zip(evolving, np.linalg.solve(Q, -constant), strict=True))


@pytest.mark.parametrize("name, plugins, current", CHANNELS)
def test_without_drug_nothing_changes(name, plugins, current):
    model = load_model(name, plugins=plugins)
    doubled = bind(model, current, 2.0, 0.01)
    chain = chain_of(model, current)
    state = initial_state(model)
    assert initial_state(doubled) == state | {f"{m}_drug": 0.0 for m in chain.members}
    for V in (-80.0, -20.0, 30.0):
        before, after = rates(model, V, state), rates(doubled, V, initial_state(doubled))
        assert after[0] == before[0]
        for n in before[1]:
            assert after[1][n] == pytest.approx(before[1][n], rel=1e-12, abs=1e-15)
        assert all(after[1][f"{m}_drug"] == 0 for m in chain.members)


@pytest.mark.parametrize("name, plugins, current", CHANNELS)
def test_where_all_states_bind_the_share_that_is_bound_is_hills(name, plugins, current):
    model = load_model(name, plugins=plugins)
    chain = chain_of(model, current)
    doubled = bind(model, current, 2.0, 0.01)
    conc = {concentration_of(model, current): 0.0125}
    free = occupancy(doubled, chain, -30.0)
    share = occupancy(doubled, chain, -30.0, **conc)
    bound = 0.0125/(0.0125 + 0.01/2)
    for m in chain.members:
        assert share[f"{m}_drug"] == pytest.approx(bound*free[m], rel=1e-6, abs=1e-12)
        assert share[m] == pytest.approx((1 - bound)*free[m], rel=1e-6, abs=1e-12)


def test_where_some_states_bind_each_pair_is_in_balance():
    model = load_model("Tomek")                            # whose scheme is reversible
    chain = chain_of(model, "IKr")
    share = occupancy(bind(model, "IKr", 2.0, 0.01, ["o", "I"]), chain, 0.0, IKr_conc=0.1)
    assert sum(share.values()) == pytest.approx(1, abs=1e-12)
    for m in ("O", "I", "C1", "C2", "C3"):                 # those that do not bind get drug through the scheme
        assert share[f"{m}_drug"] == pytest.approx(20*share[m], rel=1e-9)


def test_only_the_states_that_bind_take_drug_up():
    doubled = bind(read_model(CHAIN), "I", 2.0, 0.01, ["O"])
    state = initial_state(doubled)
    flows = rates(doubled, 0.0, state, parameters={"I_conc": 3.0})[1]
    assert flows["O_drug"] == pytest.approx(2*3*0.2) and flows["A_drug"] == 0 and flows["C_drug"] == 0
    assert rates(doubled, 10.0, state | {"O": 0.0, "O_drug": 0.2})[0] == 0


def test_the_states_of_a_plugin_are_called_as_in_its_own_file():
    model = load_model("TT2", plugins=["INa_Bondarenko"])
    full, short = (bind(model, "INa_Bondarenko.I_Na", 2, 1, [name]) for name in ("INa_Bondarenko.O", "o"))
    assert full.states == short.states


def test_the_sum_stays_one():
    doubled = bind(read_model(CHAIN), "I", 2.0, 0.01)
    V, state = 0.0, initial_state(doubled)
    for step in range(200):
        V, state = advance(doubled, 40*np.sin(step/20), state, step*0.1, 0.1, parameters={"I_conc": 0.5})
        C = 1 - sum(state[n] for n in ("O", "A", "O_drug", "A_drug", "C_drug"))
        assert quantities(doubled, V, state)["C"] == pytest.approx(C, abs=1e-15) and C > 0
    assert state["O_drug"] + state["A_drug"] + state["C_drug"] == pytest.approx(1/1.01, abs=1e-3)


def test_rush_larsen_gives_way_to_what_keeps_the_sum():
    methods = {s.name: s.method for s in bind(load_model("Fink"), "IKr", 1, 1).states}
    assert {methods[n] for n in methods if n.startswith(("Cr", "Or4", "Ir5"))} == {"markov_be"}
    kept = bind(load_model("Fink", methods="rk4"), "IKr", 1, 1)
    assert {s.method for s in kept.states if s.name.startswith("Or4")} == {"rk4"}


def test_a_binding_drug_of_block():
    model = load_model("Tomek")
    drugs = [parse_block("I_Kr:kon=2,koff=0.01,states=O|I,conc=0,0.1; INa:IC50=1")]
    doubled = with_binding(model, drugs)
    cells, of = dosed(doubled, drugs, Population(1, {}, {}))
    assert list(cells.parameters["IKr_conc"]) == [0, 0.1] and cells.parameters["GNa"][0] == conductance_of(model, "GNa")
    assert of.effects == ("I_Kr: O, I bind, kon 2, koff 0.01", "INa: GNa * 0.909091 to 1")
    assert len(doubled.states) == len(model.states) + 5


def test_a_concentration_is_given_once():
    drugs = [parse_block("I:kon=2,koff=0.01,conc=1")]
    cells = Population(2, {"I_conc": np.array([1.0, 2.0])}, {})
    assert error(OptionError, dosed, with_binding(read_model(CHAIN), drugs), drugs, cells) == (
        "--block: I_conc differs between cells, and the block gives it too\n  -> leave it to the block")


def conductance_of(model, name):
    return next(p.value for p in model.parameters if p.name == name)


@pytest.mark.parametrize("call, what, remedy", [
    (lambda: bind(load_model("Tomek"), "IKx", 1, 1), "model Tomek: no current 'IKx'", "did you mean 'IKs'?"),
    (lambda: bind(load_model("Tomek"), "INa", 1, 1), "model Tomek: no Markov chain opens INa", "block it by IC50"),
    (lambda: bind(load_model("Tomek"), "IKr", 1, 1, ["C9"]),
     "model Tomek: no state of the chain of IKr 'C9'", "known: C1, C2, C3, I, O"),
    (lambda: bind(bind(read_model(CHAIN), "I", 1, 1), "I", 1, 1),
     "model model: I cannot bind a drug: there is I_conc already",
     "one drug can bind to a channel; give others by IC50"),
    (lambda: bind(read_model(CHAIN + TWO), "J", 1, 1), "model model: J flows through 2 Markov chains, O-A-C and P-S",
     "name a current that flows through one of them"),
    (lambda: chain_of(read_model(GATED), "I"), "model model: no Markov chain opens I", "block it by IC50"),
])
def test_errors_of_binding(call, what, remedy):
    assert error(ModelError, call) == f"{what}\n  -> {remedy}"

"""Expressions of what is known of nodes: their values, their kinds, and what is wrong with them."""

import numpy as np
import pytest

from upstroke import load_case
from upstroke.errors import UpstrokeError
from upstroke.mesh import Mesh, build_mesh
from upstroke.mesh.expressions import Quantity, condition, number
from upstroke.mesh.labels import places, values_at

N = 5
RNG = np.random.default_rng(1)
DISTANCE, X, SCAR = RNG.uniform(0, 0.1, N), RNG.uniform(0, 1, N), np.array([0.1, 0.4, 0.5, 0.8, 2.0])
TYPE = np.array(["soma", "axon", "apical", "apical", "basal"])
KNOWN = {"distance": Quantity(1, lambda: DISTANCE), "x": Quantity(0, lambda: X), "scar": Quantity(0, lambda: SCAR),
         "type": Quantity("text", lambda: TYPE)}
UM = 1e-4


@pytest.mark.parametrize(("expression", "expected"), [
    ("2", np.full(N, 2.0)),
    (" 1 - -x\n", 1 + X),
    ("0.08 * (-0.8696 + 2.087 * exp(distance / (323 um)))", 0.08 * (-0.8696 + 2.087 * np.exp(DISTANCE / 0.0323))),
    ("distance / 323um", DISTANCE / 0.0323),
    ("distance/.1 mm+1e-1", DISTANCE / 0.01 + 0.1),
    ("(distance - 100 um) * (1 mm) / (2 mm) ** 2", (DISTANCE - 0.01) * 0.1 / 0.04),
    ("x ** x ** 2", X ** X ** 2),
    ("sqrt(distance * 1 cm) / (1 cm)", np.sqrt(DISTANCE)),
    ("atan2(x - 0.5, 1 - x) / (2 * pi)", np.arctan2(X - 0.5, 1.0 - X) / (2.0 * np.pi)),
    ("atan2(distance, 100 um)", np.arctan2(DISTANCE, 0.01)),
    ("log(max(x, 0.5, 0.2)) + abs(min(x - 0.5, 0))", np.log(np.maximum(X, 0.5)) + np.abs(np.minimum(X - 0.5, 0))),
    ("1 if x > 0.5 else 2 if type == 'axon' else 3", np.where(X > 0.5, 1, np.where(TYPE == "axon", 2, 3))),
    ("(1 mm if x > 0.5 else distance) / (1 um)", np.where(X > 0.5, 0.1, DISTANCE) / UM),
    ("+(2 * x)", 2 * X)])
def test_numbers(expression, expected):
    assert np.allclose(number(expression, KNOWN, N, "here"), expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize(("expression", "expected"), [
    ("True", np.ones(N, bool)),
    ("0.3 < x <= 0.8", (X > 0.3) & (X <= 0.8)),
    ("not (x > 0.5 or distance < 30 um) and type != 'axon'", ~((X > 0.5) | (DISTANCE < 30 * UM)) & (TYPE != "axon")),
    ("type in ['basal', \"axon\"]", np.isin(TYPE, ["basal", "axon"])),
    ("type not in ('10 um', 'soma')", TYPE != "soma"),
    ("2 * distance > distance + 100 um", DISTANCE > 0.01),
    ("(x > 0.5) if type == 'apical' else (x < 0.5)", np.where(TYPE == "apical", X > 0.5, X < 0.5))])
def test_conditions(expression, expected):
    assert np.array_equal(condition(expression, KNOWN, N, "here"), expected)


@pytest.mark.parametrize(("expression", "expected"), [
    ("distance", "in 'distance' the value is a length, not a number\n  -> divide it by a length, for example (100 um)"),
    ("1 / distance", "in '1 / distance' the value is a length to the power -1, not a number\n"
                     "  -> divide it by a length, for example (100 um)"),
    ("x > 1", "in 'x > 1' the value is a condition, not a number"),
    ("type", "in 'type' the value is a text, not a number"),
    ("1 + distance", "in '1 + distance' '1 + distance' adds a number and a length\n"
                     "  -> write lengths with their unit: 100 um"),
    ("exp(distance)", "in 'exp(distance)' 'distance' is a length, not a number\n"
                      "  -> divide it by a length, for example (100 um)"),
    ("2 ** distance", "in '2 ** distance' 'distance' is a length, not a number\n"
                      "  -> divide it by a length, for example (100 um)"),
    ("distance ** 0.5", "in 'distance ** 0.5' 'distance ** 0.5' is a length to a power that is no small whole number\n"
                        "  -> divide it by a length, for example (100 um)"),
    ("sqrt(distance)", "in 'sqrt(distance)' 'sqrt(distance)' is the root of a length\n"
                       "  -> divide it by a length, for example (100 um)"),
    ("max(x, 100 um)", "in 'max(x, 100 um)' 'max(x, 100 um)' takes a number and a length\n"
                       "  -> write lengths with their unit: 100 um"),
    ("x + type", "in 'x + type' 'type' is a text, which cannot be calculated with"),
    ("x + (x > 1)", "in 'x + (x > 1)' 'x > 1' is a condition, which cannot be calculated with"),
    ("distans / (1 um)", "in 'distans / (1 um)' there is no 'distans'\n  -> did you mean 'distance'?"),
    ("x + y + x * z", "in 'x + y + x * z' there is no 'y'\n  -> known: distance, scar, type, x"),
    ("x if x else 2", "in 'x if x else 2', character 6: 'x' is a number, not a condition"),
    ("x if x > 1 else 'a'", "in \"x if x > 1 else 'a'\" \"x if x > 1 else 'a'\" is a number or a text"),
    ("sin(x)", "in 'sin(x)' there is no function 'sin'\n  -> did you mean 'min'?"),
    ("exp", "in 'exp' there is no 'exp'\n  -> it is a function: write its argument in brackets"),
    ("exp(x, 2)", "in 'exp(x, 2)' exp takes one value, not 2"),
    ("min(x)", "in 'min(x)' min takes two values or more, not 1"),
    ("x % 2", "in 'x % 2' 'x % 2' has an operator that expressions do not have\n  -> use + - * / **"),
    ("x + 5 mV", '"5 mV" is a voltage, not a length\n  -> for example "0.2 mm"'),
    ("x +* 2", "cannot read 'x +* 2' from character 4 on"),
    ("100 um * x) / (1 um)", "cannot read '100 um * x) / (1 um)' from character 11 on"),
    ("", "cannot read ''"), ("x = 2", "cannot read 'x = 2' from character 3 on"),
    ("1" + "0" * 400, f"cannot read {'1' + '0' * 400!r}"),
    ("-" * 3000 + "x", f"cannot read {'-' * 3000 + 'x'!r}"),
    ("__import__('os')", "in \"__import__('os')\" there is no function '__import__'\n"
     "  -> known: abs, atan2, exp, log, max, min, sqrt"),
    ("x.real", "in 'x.real' 'x.real' is nothing that an expression may have"),
    ("[1][0]", "in '[1][0]' '[1][0]' is nothing that an expression may have"),
    ("(lambda: 1)()", "in '(lambda: 1)()' '(lambda: 1)()' is nothing that an expression may have"),
    ("exp(x=1)", "in 'exp(x=1)' 'exp(x=1)' is nothing that an expression may have")])
def test_what_is_wrong(expression, expected):
    with pytest.raises(UpstrokeError) as caught:
        number(expression, KNOWN, N, "here")
    remedy = "" if "\n" in expected else "\n  -> for example '0.1 + 0.3 * distance / (100 um)'"
    assert str(caught.value) == f"here: {expected}{remedy}"


def test_too_many_brackets():
    with pytest.raises(UpstrokeError, match="cannot read"):
        number("(" * 5000 + "x", KNOWN, N, "here")


def test_towers_of_powers_are_not_numbers_but_take_no_time():
    assert not np.isfinite(number("9 ** 9 ** 9 ** 9", KNOWN, N, "here")).any()


# ------------------------------------------------------------------------------------------ of a mesh
def square():
    points = np.array([[0.0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0.1, 0.1, 0]])
    return Mesh(points, np.array([[0, 1, 2], [1, 3, 2]], np.int32), np.zeros(2, np.int32),
                point_data={"depth": np.array([0, 0.5, 0.75, 1.0]), "two words": np.ones(4), "x": np.full(4, 7.0)})


def test_tissue_has_coordinates_and_point_data():
    mesh, nodes = square(), np.array([3, 1])
    assert values_at(mesh, "depth", nodes, "k").tolist() == [1.0, 0.5]
    assert values_at(mesh, "two words", nodes, "k").tolist() == [1.0, 1.0]
    assert values_at(mesh, "1 + depth * (x + 2 * y + z) / (1 mm)", nodes, "k") == pytest.approx([4.0, 1.5])
    assert values_at(mesh, "x", nodes, "k").tolist() == [7.0, 7.0]         # alone it is the point data
    assert set(places(mesh)) == {"depth", "two words", "x", "y", "z"}


def test_neurons_have_their_own_places_and_networks_populations():
    cells = [{"name": name, "count": 2, "cell": {"kind": "sections", "compartments": {"number": 2}, "section": [
        {"name": "soma", "type": "soma", "length": "20 um", "diameter": "10 um"},
        {"name": "dend", "parent": "soma", "length": "100 um", "diameter": "2 um"}]}} for name in ("pyr", "basket")]
    case = load_case({"mesh": {"kind": "network", "population": cells}, "cable": {"axial_resistivity": "150 ohm*cm"},
                      "membrane": {"model": "Passive"}, "time": {"end": "1 ms", "dt": "0.1 ms"}})
    mesh = build_mesh(case.mesh, case.cable)
    tree, every = mesh.tree, np.arange(mesh.n_points)
    text = "x if type == 'soma' else distance / (1 um) * (section == 'dend' and 1)"
    with pytest.raises(UpstrokeError, match="is a number, not a condition"):
        values_at(mesh, text, every, "k")
    text = "x + (10 if population == 'pyr' else 20) if type == 'soma' else distance / diameter"
    soma = np.array([s.type == "soma" for s in tree.sections])[tree.section]
    pyr = every < mesh.n_points // 2
    expected = np.where(soma, tree.x + np.where(pyr, 10, 20), tree.distance / tree.diameter)
    assert np.array_equal(values_at(mesh, text, every, "k"), expected)
    assert np.array_equal(values_at(mesh, text, every[[2, 9]], "k"), expected[[2, 9]])


@pytest.mark.parametrize(("text", "expected"), [
    ("depht", "the mesh has no point data 'depht'\n  -> did you mean 'depth'?"),
    ("log(depth)", "'log(depth)' has no finite value at 1 of the 4 nodes of this membrane (the first is node 0)\n"
     "  -> see where it divides by 0, overflows, or takes a root or a logarithm of what has none; point data may lack "
     "values"),
    ("y", "in 'y' the value is a length, not a number\n  -> divide it by a length, for example (100 um)"),
    ("depth +", "cannot read 'depth +'\n  -> for example '0.1 + 0.3 * x / (10 mm)'")])
def test_what_is_wrong_at_nodes(text, expected):
    with pytest.raises(UpstrokeError) as caught:
        values_at(square(), text, np.arange(4), "membrane.nodal.g")
    assert str(caught.value) == f"membrane.nodal.g: {expected}"


def test_conditions_of_tissue_have_an_example_of_tissue():
    known = {name: quantity for name, quantity in places(square()).items() if name != "two words"}
    with pytest.raises(UpstrokeError) as caught:
        condition("y", known, 4, "mesh.regions.left")
    assert str(caught.value) == ("mesh.regions.left: in 'y' the value is a length, not a condition\n"
                                 "  -> for example 'x < 10 mm and y > 5 mm'")

"""The state: groups of nodes, each with its kernel's arrays, seen in the mesh's order."""

import numpy as np
import pytest

from upstroke.backend.halo import Alone
from upstroke.codegen import Kernel
from upstroke.errors import ModelError
from upstroke.step.state import State


class Arrays:
    """A backend that owns arrays on a 'device': they know slices and scalars, and nothing of NumPy's functions."""

    dtype = np.dtype(np.float32)

    def zeros(self, *shape, dtype=None):
        return Device(np.zeros(shape, dtype or self.dtype))

    halo = Alone()

    def stride(self, n):
        return -(-n // 4) * 4

    def array(self, host, dtype):
        return Device(np.array(host, dtype))

    def to_host(self, array):
        return array.values.copy()


class Device:
    """What of an array may be used on any device."""

    __array__ = None          # np.* on it is an error

    def __init__(self, values):
        self.values = values

    def __getitem__(self, place):
        return Device(self.values[place])

    def __setitem__(self, place, value):
        assert not isinstance(value, np.ndarray)      # what some device arrays refuse
        self.values[place] = value.values if isinstance(value, Device) else value

    @property
    def dtype(self):
        return self.values.dtype

    def __len__(self):
        return len(self.values)

    @property
    def nbytes(self):
        return self.values.nbytes


def kernel(states, wide=(), nodal=()):
    return Kernel("toy", "c", "mixed", "", tuple(states), tuple(wide), (), tuple(nodal))


ORDER = [4, 2, 0, 3, 1]       # nodes 4, 2, 0 have the first membrane, 3 and 1 the second


@pytest.fixture
def state():
    return State([(kernel(["m", "c"], ["c"]), {"V": -80.0, "Iion": 0.5, "m": 0.25, "c": 7.0}, 3),
                  (kernel(["w", "m"]), {"V": -60.0, "m": 0.75, "w": 2.0}, 2)], Arrays(), ORDER)


def test_variables_are_in_the_meshs_order(state):
    assert state.names == ("V", "Iion", "m", "c", "w")
    assert state.variable("V").tolist() == [-80, -60, -80, -60, -80]
    assert state.variable("Iion").tolist() == [0.5, 0, 0.5, 0, 0.5]
    assert state.variable("m").tolist() == [0.25, 0.75, 0.25, 0.75, 0.25]
    assert state.rank[ORDER].tolist() == [0, 1, 2, 3, 4]


def test_where_a_membrane_lacks_a_variable_is_no_number(state):
    assert np.array_equal(state.variable("w"), [np.nan, 2, np.nan, 2, np.nan], equal_nan=True)
    assert np.array_equal(state.variable("c"), [7, np.nan, 7, np.nan, 7], equal_nan=True)
    assert state.variable("c").dtype == np.float64 and state.variable("w").dtype == np.float32


def test_groups_share_v_and_own_their_states(state):
    first, second = state.groups
    assert (first.begin, first.end, second.begin, second.end) == (0, 3, 3, 5)
    second.arrays["V"][0] = 40.0
    assert state.variable("V").tolist() == [-80, -60, -80, 40, -80]              # place 3 is node 3
    assert first.arrays["S"].values.shape == (1, 4) and first.arrays["W"].values.shape == (1, 4)
    assert second.arrays["S"].values.shape == (2, 4) and second.arrays["W"].values.shape == (0, 4)
    assert second.arrays["S"].values.tolist() == [[2.0] * 4, [0.75] * 4]         # padding holds a valid state
    assert first.arrays["W"].values.tolist() == [[7.0] * 4]
    assert set(first.arrays) == {"V", "S", "W", "Iion", "Istim"}


def test_pieces_cover_the_nodes_that_have_a_variable(state):
    assert [(begin, end, piece.values.tolist()) for begin, end, piece in state.pieces("m")] == [
        (0, 3, [0.25] * 3), (3, 5, [0.75] * 2)]
    assert [(begin, end) for begin, end, _ in state.pieces("w")] == [(3, 5)]
    assert [(begin, end) for begin, end, _ in state.pieces("V")] == [(0, 5)]
    assert state.arrange([(0, 5, np.arange(5.0))]).tolist() == [2, 4, 1, 3, 0]


def test_an_unknown_variable_is_an_error(state):
    with pytest.raises(ModelError) as error:
        state.variable("Iino")
    assert str(error.value) == "the membrane has no variable 'Iino'\n  -> did you mean 'Iion'?"


def test_what_broke_first_is_named_by_the_meshs_number(state):
    assert state.first_broken() is None
    state.pieces("w")[0][2][0] = np.nan          # node 3
    assert state.first_broken() == (3, ["w"])
    state.V[1] = np.inf                          # node 2
    state.pieces("m")[0][2][1] = np.nan
    assert state.first_broken() == (2, ["V", "m"])


def test_one_membrane_needs_no_order():
    state = State([(kernel(["m"]), {"V": 1.0, "m": 2.0}, 3)], Arrays())
    state.V[1] = 5.0
    assert state.variable("V").tolist() == [1, 5, 1]
    assert state.order.tolist() == state.rank.tolist() == [0, 1, 2]
    assert state.nbytes == 4 * (3 * 3 + 4)


def test_values_may_differ_from_node_to_node():
    """Initial values and nodal parameters: padding holds the last one."""
    k = np.array([1.0, 2.0, 3.0])
    state = State([(kernel(["m", "c"], ["c"], ["k", "g"]), {"V": -k, "m": 0.5, "c": 10 * k, "k": k, "g": 4.0}, 3)],
                  Arrays(), [2, 0, 1])
    group, = state.groups
    assert group.arrays["N"].values.tolist() == [[1, 2, 3, 3], [4, 4, 4, 4]]
    assert group.arrays["W"].values.tolist() == [[10, 20, 30, 30]]
    assert state.variable("V").tolist() == [-2, -3, -1]
    assert "k" not in state.names
    assert state.nbytes == 4 * (3 * 3 + 4 + 2 * 4) + 8 * 4

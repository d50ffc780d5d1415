"""A model broken at random is refused in words, or read: it never ends in a traceback."""

import random
import re

import pytest

from upstroke.errors import UpstrokeError
from upstroke.ionic import read_model

MODEL = """
V; .external(Vm); .nodal(); .units(mV); Iion; .external();
group { gNa = 120; .units(mS/cm^2); E = 50; }.param();
cell; .flag(EPI, ENDO); Ke; .external(K_e);
V_init = -80; m_inf = 1/(1 + exp(-(V + 40)/5)); tau_m = 0.1 + (cell == EPI ? 1 : 2);
alpha_h = exp(-V/20); beta_h = square(V)/100; c_init = 1e-3; diff_c = -0.1*c + 1e-4*Ke; c; .lb(0).method(rk2);
if (V > -40 and c > 0) { q = 1; } elif (V < -60) { q = 2; } else { q = 3; } .trace();
top = max(top, V); top_init = V_init; Iion = gNa*m*m*h*(V - E); Iion += q*c; V; .lookup(-100, 100, 0.1);
"""
TOKENS = re.findall(r"\w+\.?\w*|[^\w\s]|\s+", MODEL)
POOL = [t for t in TOKENS if not t.isspace()] + [
    "diff_m", "dt", "t", "0", "1e400", "@", "^", "x_init", "tau_x", "x_inf", "*=", "/*", "//", "h", ".param", ".store",
    "\n"]


@pytest.mark.parametrize("seed", range(25))
def test_random_damage(seed):
    rng = random.Random(seed)
    refused = 0
    for _ in range(12):
        tokens = list(TOKENS)
        for _ in range(rng.randint(1, 3)):
            i, j = rng.randrange(len(tokens)), rng.randrange(len(tokens))
            match rng.randrange(4):
                case 0:
                    del tokens[i]
                case 1:
                    tokens.insert(i, rng.choice(POOL))
                case 2:
                    tokens[i] = rng.choice(POOL)
                case _:
                    tokens[i], tokens[j] = tokens[j], tokens[i]
        try:
            read_model("".join(tokens))
        except UpstrokeError as error:
            assert "model" in str(error)
            refused += 1
    assert refused

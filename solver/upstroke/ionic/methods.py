r"""Integration methods, as data: codegen turns an entry into code, ``evaluate.advance`` into arithmetic.

An explicit Runge-Kutta method is its tableau. With k_i the rate at stage i,

    stage i:  X_i = X + dt \sum_j A[i][j] k_j  at  t + c[i] dt,        X(t + dt) = X + dt \sum_i b[i] k_i.

An ``exponential`` method replaces the straight step dt by the exponential one, exact for a rate that is affine in X.
With X_i, k_i and s_i = d(rate)/dX at its last stage,

    X(t + dt) = X + dt phi(s_i dt) (k_i + s_i (X - X_i)),  phi(z) = (exp(z) - 1)/z,  phi(0) = 1,

and its stages before are reached in the same way from the first one.

A method with ``gamma`` is linearly implicit. With J_ab = d(rate of a)/d(b) at the step's start, among all the states of
the same method, its k_i solve

    (I - gamma dt J) (k_i - k_(i-1)) = rate(X_i) - k_(i-1),  k_(-1) = 0.

One stage with gamma = 1 is backward Euler where the rates are linear; two as below are of order 2 whatever J is. These
multiply what belongs to an eigenvalue lambda of J by (1 + (1 - 2 gamma) z)/(1 - gamma z)^2, z = lambda dt, in a step.
What decays may be as stiff as it likes; what grows must keep well below the pole, lambda = 1/(gamma dt). Calcium that
releases calcium grows so: at 585/ms in Winslow's subspace, where ``rosenbrock`` needs dt = 0.002 ms.

Every state of a model, and V, may have its own method. They go through the stages together: the times c of a method
with fewer stages begin those of one with more. A state whose method has no stage i is seen there as its first rate
carries it c[i] dt from the step's start, straight or exponentially as its method does.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """One row of the table: ``order`` is measured by a test, ``source`` says where the method was published.

    A method with ``needs_slope`` is only for rates that are affine in their state; if it has ``gamma``, in all states
    that share it.
    """

    name: str
    order: int
    needs_slope: bool
    A: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]
    doc: str
    source: str
    exponential: bool = False
    gamma: float = 0.0

    @property
    def stages(self) -> int:
        """How many times a step evaluates the rate."""
        return len(self.b)


#: The methods a state, or V, can have.
METHODS: dict[str, Method] = {method.name: method for method in (
    Method("fe", 1, False, ((),), (1.0,), (0.0,),
           "forward Euler", "Euler 1768"),
    Method("rush_larsen", 1, True, ((),), (1.0,), (0.0,),
           "exponential Euler for a rate that is linear in the state",
           "Rush and Larsen 1978, 10.1109/TBME.1978.326270", exponential=True),
    Method("sundnes", 2, False, ((), (0.5,)), (0.0, 1.0), (0.0, 0.5),
           "Rush-Larsen with the slope at half the step",
           "Sundnes, Artebrant, Skavhaug and Tveito 2009, 10.1109/TBME.2009.2014739", exponential=True),
    Method("rk2", 2, False, ((), (0.5,)), (0.0, 1.0), (0.0, 0.5),
           "explicit midpoint rule", "Runge 1895, 10.1007/BF01446807"),
    Method("rk4", 4, False, ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6),
           (0.0, 0.5, 0.5, 1.0), "classical Runge-Kutta", "Kutta 1901"),
    Method("markov_be", 1, True, ((),), (1.0,), (0.0,),
           "backward Euler for Markov chains", "Curtiss and Hirschfelder 1952, 10.1073/pnas.38.3.235", gamma=1.0),
    Method("rosenbrock", 2, False, ((), (0.5,)), (0.0, 1.0), (0.0, 0.5),
           "L-stable, linearly implicit midpoint rule", "Shampine and Reichelt 1997, 10.1137/S1064827594276424",
           gamma=1.0 - 0.5**0.5),
)}

#: What stands for a method: the one the file gives, else ``rush_larsen`` for a rate that is linear in its state, else
#: ``fe``.
AUTO = "auto"

#: What chooses its own steps, so that no kernel can do it, and who does it instead.
ADAPTIVE: dict[str, str] = {
    "cvode": "upstroke.reference.integrate",
}

#: ``State.method`` of a ``.store()`` state: it has no rate, its assignment gives its value at the end of the step.
STORE = "store"

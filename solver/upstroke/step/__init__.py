"""Splitting: reaction kernel, diffusion solve, repeat."""

from upstroke.step.state import State
from upstroke.step.stepper import Stepper, Tally

__all__ = ["State", "Stepper", "Tally"]

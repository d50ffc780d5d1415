"""Splitting: reaction kernel, diffusion solve, repeat."""

from upstroke.step.state import State
from upstroke.step.stepper import Stepper

__all__ = ["State", "Stepper"]

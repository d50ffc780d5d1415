"""What a case must fulfil beyond the types of its keys: one key against another.

A rule names the tables and keys it looks at. It runs once those keys have valid values, whatever else is wrong.
"""

from __future__ import annotations

# each registers its rules
from upstroke.case.rules import ecg, implicit, mesh, network, neuron, purkinje, stimulus, time, tips, tissue, watch  # noqa: F401
from upstroke.case.rules.rule import RULES, Mistake, Rule

__all__ = ["RULES", "Mistake", "Rule"]

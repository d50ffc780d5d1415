"""Experiments on tissue that take several runs of a case: the effective refractory period, tuned velocities."""

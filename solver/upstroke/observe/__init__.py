"""What we look at, reduced while stepping: activation maps, probes, snapshots."""

from upstroke.observe.activation import ActivationMap
from upstroke.observe.watchers import Watcher, Watchers, check_watch, open_watchers

__all__ = ["ActivationMap", "Watcher", "Watchers", "check_watch", "open_watchers"]

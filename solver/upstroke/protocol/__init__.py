"""What is done to the tissue: stimuli, synapses and clamps as plain lists of events."""

from upstroke.protocol.conductances import Conductances, place_conductances
from upstroke.protocol.stimuli import Stimuli, schedule
from upstroke.protocol.train import Train

__all__ = ["Conductances", "Stimuli", "Train", "place_conductances", "schedule"]

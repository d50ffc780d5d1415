"""What is done to the tissue: stimuli as plain lists of events."""

from upstroke.protocol.stimuli import Stimuli, schedule
from upstroke.protocol.train import Train

__all__ = ["Stimuli", "Train", "schedule"]

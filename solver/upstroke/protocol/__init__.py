"""What is done to the tissue: stimuli as plain lists of events."""

from upstroke.protocol.stimuli import Stimuli, Train, schedule

__all__ = ["Stimuli", "Train", "schedule"]

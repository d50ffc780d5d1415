"""The single-cell laboratory."""

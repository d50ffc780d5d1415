"""Splitting: reaction kernel, diffusion solve, repeat."""

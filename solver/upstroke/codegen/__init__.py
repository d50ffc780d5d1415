"""From a model's equations to the source of a kernel.

``expressions`` prints an expression, ``body`` the statements of one node (methods, stages, slices), ``frames`` the
translation unit around them, for C or CUDA, upon the files of ``prologue/``; ``count`` tells what a step costs.
"""

from upstroke.codegen.kernel import Kernel, generate

__all__ = ["Kernel", "generate"]

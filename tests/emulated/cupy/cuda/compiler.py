"""What Upstroke uses of cupy.cuda.compiler."""

from .._kernel import CompileException

__all__ = ["CompileException"]

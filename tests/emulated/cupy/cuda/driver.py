"""What Upstroke uses of cupy.cuda.driver."""

from .._kernel import BLOCKS_PER_MULTIPROCESSOR


def occupancyMaxActiveBlocksPerMultiprocessor(func: int, blockSize: int, dynamicSMemSize: int) -> int:
    return BLOCKS_PER_MULTIPROCESSOR

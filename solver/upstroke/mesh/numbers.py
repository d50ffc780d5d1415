"""Files of numbers, one for each node or cell of a mesh: text, or NumPy's .npy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import MeshError


def read_numbers(file: Path, count: int, each: str, where: str) -> NDArray[np.float64]:
    """(count,) the numbers of a file, in the mesh's order; what follows a # in a text is a comment.

    Parameters
    ----------
    each : what has a number: "node" or "cell"
    where : the key that names the file, for error messages

    Raises
    ------
    MeshError at ``where`` for a file that holds something else, or another count of numbers
    """
    try:
        found = np.load(file, allow_pickle=False) if file.suffix == ".npy" else np.loadtxt(file, ndmin=2)
    except Exception as error:              # NumPy raises whatever its readers stumble over
        raise MeshError(where, f"{file.name} cannot be read as a file of numbers: {' '.join(str(error).split())}",
                        f"write one number for each {each} of the mesh, a line each, or save an array of them with "
                        "numpy.save") from None
    if found.dtype.kind not in "fiub" or found.size != max(found.shape, default=1):
        raise MeshError(where, f"{file.name} holds {found.dtype.name} values of shape {found.shape}, not a row of "
                        "numbers", f"write one number for each {each} of the mesh")
    if found.size != count:
        raise MeshError(where, f"{file.name} holds {found.size:,} numbers, but the mesh has {count:,} {each}s",
                        f"write one for each {each}, in the mesh's order, which is that of activation.vtu; with a mesh "
                        f"file that may change on reading, {'point' if each == 'node' else 'cell'} data of that file "
                        "are safer")
    return found.ravel().astype(np.float64)

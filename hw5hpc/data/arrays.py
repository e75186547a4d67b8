"""A data set as NumPy arrays, and the hash of all that is in them."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

# Training images uint8 [N, C, H, W] and labels int64 [N], then those for testing.
Arrays = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]


def digest(arrays: Iterable[NDArray[np.generic]]) -> str:
    """Return the SHA-256 of the arrays' bytes, one after the other."""
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()

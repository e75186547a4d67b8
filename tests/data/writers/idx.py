"""Write a small data set in MNIST's four idx files."""

from pathlib import Path

import numpy as np

from hw5hpc.data.arrays import Arrays
from hw5hpc.data.idx import FILES
from hw5hpc.data.sets import ImageSet


def write(folder: Path, arrays: Arrays, images: ImageSet) -> None:
    folder.mkdir(parents=True)
    for stem, array in zip(FILES, arrays, strict=True):
        plain = (array[:, 0] if array.ndim == 4 else array).astype(np.uint8)
        sizes = b"".join(size.to_bytes(4, "big") for size in plain.shape)
        (folder / stem).write_bytes(bytes([0, 0, 8, plain.ndim]) + sizes + plain.tobytes())

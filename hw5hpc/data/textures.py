"""Make textures: gratings in ten directions, for trying things without any data."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from hw5hpc.data.arrays import Arrays

# What the processor's cache holds; all at once would be 300 MB at a time.
CHUNK = 100

Numbers = NDArray[np.float64]


@cache
def make() -> tuple[Arrays, str]:
    """Return gratings with random frequency, phase, colour and noise; 3x32x32, always the same."""
    source = np.random.default_rng(0)
    labels = source.integers(0, 10, 12_000)
    angle = np.pi * labels / 10 + source.normal(0, 0.08, len(labels))
    frequency, phase = source.uniform(2, 5, len(labels)), source.uniform(0, 2 * np.pi, len(labels))
    colours = source.uniform(0.3, 1, (len(labels), 3, 1, 1))
    images = np.empty((len(labels), 3, 32, 32), np.uint8)
    for first in range(0, len(labels), CHUNK):
        part = slice(first, first + CHUNK)
        pixels = source.normal(0, 0.6, images[part].shape)
        pixels += _waves(angle[part], frequency[part], phase[part])[:, None] * colours[part]
        pixels *= 60
        pixels += 127.5
        images[part] = np.clip(pixels, 0, 255, out=pixels)
    arrays = (images[:10_000], labels[:10_000], images[10_000:], labels[10_000:])
    return arrays, "synthetic textures (made on the fly, no real images)"


def _waves(angle: Numbers, frequency: Numbers, phase: Numbers) -> Numbers:
    """Return sine waves [N, 32, 32] in these directions, of so many periods a side."""
    y, x = np.mgrid[0:32, 0:32] / 32
    turned = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    waves: Numbers = np.sin(2 * np.pi * frequency[:, None, None] * turned + phase[:, None, None])
    return waves

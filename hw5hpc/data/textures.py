"""Make textures: gratings in ten directions, for trying things without any data."""

from functools import cache

import numpy as np

from hw5hpc.data.arrays import Arrays


@cache
def make() -> tuple[Arrays, str]:
    """Return gratings with random frequency, phase, colour and noise; 3x32x32, always the same."""
    source = np.random.default_rng(0)
    labels = source.integers(0, 10, 12_000)
    angle = np.pi * labels / 10 + source.normal(0, 0.08, len(labels))
    frequency, phase = source.uniform(2, 5, len(labels)), source.uniform(0, 2 * np.pi, len(labels))
    y, x = np.mgrid[0:32, 0:32] / 32
    turned = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    waves = np.sin(2 * np.pi * frequency[:, None, None] * turned + phase[:, None, None])
    colours = source.uniform(0.3, 1, (len(labels), 3, 1, 1))
    # In place: 300 MB each, which take longer to get from the system than to compute.
    pixels = source.normal(0, 0.6, (len(labels), 3, 32, 32))
    pixels += waves[:, None] * colours
    pixels *= 60
    pixels += 127.5
    images = np.clip(pixels, 0, 255, out=pixels).astype(np.uint8)
    arrays = (images[:10_000], labels[:10_000], images[10_000:], labels[10_000:])
    return arrays, "synthetic textures (made on the fly, no real images)"

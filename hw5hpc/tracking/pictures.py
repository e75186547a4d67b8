"""The arrays that a run keeps, as pictures: image stacks, filters, points and count matrices."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Picture = NDArray[np.uint8]

SIDE = 256


def pictures(arrays: Mapping[str, Array], reach: float = 2.0) -> dict[str, Picture]:
    """Return a picture [H, W] or [H, W, 3] for every array that has one.

    Points are shown in the square from -`reach` to `reach`.
    """
    made = {name: _picture(name, array, reach) for name, array in arrays.items() if array.size}
    return {name: picture for name, picture in made.items() if picture is not None}


def _picture(name: str, array: Array, reach: float) -> Picture | None:
    if name in NAMED:
        return NAMED[name](array)
    if array.dtype.kind == "f" and array.ndim == 2 and array.shape[1] == 2:
        return points(array, reach)
    for fits, draw in SHAPES:
        if fits(array):
            return draw(array)
    return None


def tile(stack: Array) -> Array:
    """Return a stack [N, H, W] or [N, H, W, 3] as one nearly square picture, filled with black."""
    count, height, width = stack.shape[:3]
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, *stack.shape[1:]), stack.dtype)
    padded[:count] = stack
    grid = padded.reshape(rows, columns, height, width, *stack.shape[3:]).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, *stack.shape[3:])


def filters(weights: Array) -> Picture:
    """Return filters [N, C, H, W] side by side on one scale, each pixel 8 by 8, grey or RGB."""
    shown = weights if weights.shape[1] == 3 else weights.mean(axis=1, keepdims=True)
    pixels = _scaled(shown).transpose(0, 2, 3, 1)
    framed = np.pad(_enlarged(pixels, 8), ((0, 0), (0, 4), (0, 4), (0, 0)))
    return _thin(tile(framed))


def points(samples: Array, reach: float) -> Picture:
    """Return how densely points [N, 2] lie in the square of ±reach; brighter is denser."""
    edges = np.linspace(-reach, reach, SIDE // 4 + 1)
    finite = samples[np.isfinite(samples).all(axis=1)].astype(float)
    counts, _, _ = np.histogram2d(finite[:, 1], finite[:, 0], bins=(edges, edges))
    # Upwards is up, and a few points can be seen beside many.
    return _thin(_enlarged(_scaled(np.sqrt(counts[::-1]))[None, ..., None], 4)[0])


def counts(matrix: Array) -> Picture:
    """Return a confusion matrix [true, predicted]: each row as shares, brighter is more."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size = max(SIDE // max(len(matrix), 1), 1)
    pixels = (255 * np.clip(shares, 0, 1)).round().astype(np.uint8)
    return _thin(_enlarged(pixels[None, ..., None], size)[0])


def bars(heights: Array) -> Picture:
    """Return a histogram's counts [N] as white bars, the highest as high as the picture."""
    level = heights.astype(float) / max(float(heights.max(initial=0)), 1.0)
    down = 1 - (np.arange(SIDE) + 0.5) / SIDE
    pixels = np.where(down[:, None] < level[None, :], 255, 0).astype(np.uint8)
    width = max(SIDE // len(level), 2)
    wide = pixels.repeat(width, axis=1)
    # A dark line parts the bars.
    wide[:, ::width] = 0
    return wide


def _scaled(values: Array) -> Picture:
    finite = np.where(np.isfinite(values), values, 0.0).astype(float)
    low, high = finite.min(initial=0), finite.max(initial=0)
    return np.asarray(255 * (finite - low) / ((high - low) or 1.0)).round().astype(np.uint8)


def _enlarged(stack: Array, times: int) -> Array:
    """Enlarge [N, H, W, C] without smoothing."""
    return stack.repeat(times, axis=1).repeat(times, axis=2)


def _thin(picture: Array) -> Picture:
    """Drop the channel axis of a grey picture."""
    return picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture


def _coloured(images: Array) -> Picture:
    """Return images [..., C, H, W] side by side."""
    stack = images.reshape(-1, *images.shape[-3:]).transpose(0, 2, 3, 1)
    return _thin(tile(stack))


def _bytes(array: Array, dimensions: int) -> bool:
    """Whether it is a stack of grey images [N, H, W], or of images with 1 or 3 channels."""
    fits = array.dtype == np.uint8 and array.ndim == dimensions
    return fits and (dimensions == 3 or array.shape[-3] in (1, 3))


NAMED: dict[str, Callable[[Array], Picture]] = {"confusion": counts}
# The first row that fits draws it.
SHAPES: tuple[tuple[Callable[[Array], bool], Callable[[Array], Picture]], ...] = (
    (partial(_bytes, dimensions=3), tile),
    (partial(_bytes, dimensions=4), _coloured),
    (partial(_bytes, dimensions=5), _coloured),
    (lambda a: a.dtype.kind == "f" and a.ndim == 4, filters),
    (lambda a: a.dtype.kind in "iu" and a.ndim == 1 and len(a) > 1, bars),
)

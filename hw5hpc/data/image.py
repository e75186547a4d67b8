"""Read one image file as pixels, or say in one line why it cannot be read right."""

import struct
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from hw5hpc.data.sets import DataError

READ = (".png", ".jpg", ".jpeg")
# Images all the same: to pass over them would make the data set smaller without a word.
REFUSED = (
    ".avif", ".bmp", ".gif", ".heic", ".jfif", ".jp2", ".jpe", ".pgm", ".ppm", ".tif", ".tiff",
    ".webp",
)  # fmt: skip
FORMATS = ("PNG", "JPEG")
WITH_ALPHA = ("LA", "PA", "RGBA")
EXACT = ("1", "L", "P", "RGB", *WITH_ALPHA)
# To Pillow a broken PNG is a SyntaxError or a ValueError, broken EXIF data nearly anything or a
# warning that a tag (the orientation?) is left out, and a size of gigapixels a bomb.
WARNINGS = (UserWarning, Image.DecompressionBombWarning)
DAMAGE = (
    OSError, SyntaxError, ValueError, ArithmeticError, LookupError, TypeError, struct.error,
    EOFError, MemoryError, Image.DecompressionBombError, *WARNINGS,
)  # fmt: skip


def read(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return the pixels [C, H, W] of a PNG or JPEG file, turned as its EXIF data say.

    What has no one reading in 8 bits a channel is refused: 16 bits, transparent pixels, CMYK,
    several frames, colours where grey is needed, another size. Palettes, 1-bit images and grey
    ones among coloured convert exactly.

    Raises:
        DataError: one line with the path and the reason.
    """
    try:
        with warnings.catch_warnings():
            for kind in WARNINGS:
                warnings.simplefilter("error", kind)
            pixels, problem = _read(path, shape)
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: damaged image (no PNG or JPEG inside)") from error
    except DAMAGE as error:
        raise DataError(f"{path}: damaged image ({error})") from error
    if problem:
        raise DataError(f"{path}: {problem}")
    return pixels.transpose(2, 0, 1)[: shape[0]]


def _read(path: Path, shape: tuple[int, int, int]) -> tuple[NDArray[np.uint8], str]:
    """Return the pixels [H, W, RGB], and what is wrong with the image or ''."""
    with Image.open(path, formats=FORMATS) as picture:
        problem = _misfit(picture, shape)
        if problem:
            return np.empty(0, np.uint8), problem
        coloured = _with_alpha(ImageOps.exif_transpose(picture))
    pixels = np.asarray(coloured.convert("RGB"))
    return pixels, _unlike(coloured, pixels, shape)


def _misfit(picture: Image.Image, shape: tuple[int, int, int]) -> str:
    """Say what is wrong with an image by its header, before any pixel is unpacked, or ''."""
    _, height, width = shape
    if sorted(picture.size) != sorted((width, height)):
        return _size(shape, picture.size)
    if getattr(picture, "n_frames", 1) > 1:
        return "has several frames; one is needed"
    # Pillow makes 8 bits of 16 in colour images, and says so only in its own raw modes.
    if ";16" in str(getattr(picture, "tile", "")):
        return "has 16 bits a channel; 8 are needed"
    if picture.mode not in EXACT:
        return f"has {picture.mode} colours; RGB or grey are needed"
    return ""


def _size(shape: tuple[int, int, int], size: tuple[int, int]) -> str:
    return f"{shape[2]}x{shape[1]} pixels are needed, got {size[0]}x{size[1]}"


def _with_alpha(picture: Image.Image) -> Image.Image:
    """Return an image that may be transparent somewhere as RGBA, another one as it is."""
    may_be = picture.mode in WITH_ALPHA or "transparency" in picture.info
    return picture.convert("RGBA") if may_be else picture


def _unlike(coloured: Image.Image, pixels: NDArray[np.uint8], shape: tuple[int, int, int]) -> str:
    """Say what is wrong with an image once its pixels are unpacked, or ''."""
    if pixels.shape[:2] != shape[1:]:
        return _size(shape, (pixels.shape[1], pixels.shape[0]))
    if coloured.mode == "RGBA" and (np.asarray(coloured)[..., 3] < 255).any():
        return "has transparent pixels, which have no one colour"
    if shape[0] == 1 and (pixels != pixels[..., :1]).any():
        return "has colours; grey is needed"
    return ""

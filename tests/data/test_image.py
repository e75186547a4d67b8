"""One image file: read right, or refused in one line that names it."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hw5hpc.data import image
from hw5hpc.data.sets import DataError

COLOUR, GREY = (3, 32, 32), (1, 32, 32)


def test_every_damaged_byte_of_a_png_is_an_image_or_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "dog" / "0.png"
    path.parent.mkdir()
    Image.new("RGB", (32, 32), (10, 200, 30)).save(path)
    whole = path.read_bytes()
    for index in range(len(whole)):
        for value in (0, 255, whole[index] ^ 1):
            path.write_bytes(whole[:index] + bytes([value]) + whole[index + 1 :])
            try:
                image.read(path, COLOUR)
            except DataError as error:
                assert str(path) in str(error)


def test_a_jpeg_that_claims_gigapixels_is_a_damaged_image(tmp_path: Path) -> None:
    path = tmp_path / "dog" / "0.jpg"
    path.parent.mkdir()
    Image.new("RGB", (32, 32)).save(path)
    whole = path.read_bytes()
    # Height and width follow the frame's marker, its length and its precision.
    sizes = whole.index(b"\xff\xc0") + 5
    path.write_bytes(whole[:sizes] + b"\xff" * 4 + whole[sizes + 4 :])
    with pytest.raises(DataError, match="damaged image") as caught:
        image.read(path, COLOUR)
    assert str(path) in str(caught.value)


def noise(channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    shape = (32, 32, channels) if channels > 1 else (32, 32)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def saved(path: Path, picture: Image.Image, **how: Any) -> Path:
    picture.save(path, **how)
    return path


def refused(path: Path, shape: tuple[int, int, int] = COLOUR) -> str:
    with pytest.raises(DataError) as caught:
        image.read(path, shape)
    words = str(caught.value)
    assert words.startswith(f"{path}: ")
    assert "\n" not in words
    return words.removeprefix(f"{path}: ")


def test_colour_is_read_as_it_is(tmp_path: Path) -> None:
    pixels = noise()
    read = image.read(saved(tmp_path / "0.png", Image.fromarray(pixels)), COLOUR)
    assert np.array_equal(read, pixels.transpose(2, 0, 1))


def test_grey_is_repeated_for_a_coloured_set_and_kept_for_a_grey_one(tmp_path: Path) -> None:
    pixels = noise(1)
    path = saved(tmp_path / "0.png", Image.fromarray(pixels))
    assert np.array_equal(image.read(path, GREY), pixels[None])
    assert np.array_equal(image.read(path, COLOUR), np.stack([pixels] * 3))


def test_colours_are_refused_where_grey_is_needed(tmp_path: Path) -> None:
    grey = np.stack([noise(1)] * 3, axis=2)
    path = saved(tmp_path / "0.png", Image.fromarray(grey))
    assert np.array_equal(image.read(path, GREY), grey.transpose(2, 0, 1)[:1])
    assert "grey is needed" in refused(saved(path, Image.fromarray(noise())), GREY)


def test_sixteen_bits_are_refused_grey_and_coloured(tmp_path: Path) -> None:
    """Pillow turns 16-bit grey white, and drops the low bits of 16-bit colours."""
    deep = np.full((32, 32), 40_000, np.uint16)
    assert "16 bits" in refused(saved(tmp_path / "grey.png", Image.fromarray(deep)))
    assert "16 bits" in refused(tmp_path / "grey.png", GREY)
    for kind, channels in ((2, 3), (4, 2), (6, 4)):
        path = tmp_path / f"{kind}.png"
        path.write_bytes(png(kind, 16, bytes(32 * (1 + 32 * channels * 2))))
        assert "16 bits" in refused(path)


def png(kind: int, bits: int, rows: bytes) -> bytes:
    """Return a PNG of 32x32 pixels of one colour kind and depth; Pillow writes no such ones."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + name + content + checksum

    head = struct.pack(">IIBBBBB", 32, 32, bits, kind, 0, 0, 0)
    data = zlib.compress(rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_one_bit_and_palettes_are_read_exactly(tmp_path: Path) -> None:
    bits = Image.fromarray(noise(1) > 127)
    read = image.read(saved(tmp_path / "1.png", bits), GREY)
    assert np.array_equal(read[0], np.asarray(bits) * np.uint8(255))
    palette = Image.fromarray(noise()).quantize(200)
    read = image.read(saved(tmp_path / "p.png", palette), COLOUR)
    assert np.array_equal(read, np.asarray(palette.convert("RGB")).transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_dropped_where_it_hides_nothing_and_refused_where_it_does(
    tmp_path: Path, mode: str
) -> None:
    pixels = noise(len(mode))
    pixels[..., -1] = 255
    path = saved(tmp_path / "0.png", Image.fromarray(pixels, mode))
    colours = pixels[..., :3] if mode == "RGBA" else np.stack([pixels[..., 0]] * 3, axis=2)
    assert np.array_equal(image.read(path, COLOUR), colours.transpose(2, 0, 1))
    pixels[5, 5, -1] = 254
    assert "transparent" in refused(saved(path, Image.fromarray(pixels, mode)))


def test_transparency_without_an_alpha_channel_is_refused_too(tmp_path: Path) -> None:
    palette = Image.fromarray(noise()).quantize(200)
    path = saved(tmp_path / "p.png", palette, transparency=bytes([0] + [255] * 199))
    assert "transparent" in refused(path)
    pixels = noise()
    key = tuple(map(int, pixels[0, 0]))
    assert "transparent" in refused(saved(path, Image.fromarray(pixels), transparency=key))


def test_cmyk_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "0.jpg", Image.fromarray(noise()).convert("CMYK"))
    assert refused(path) == "has CMYK colours; RGB or grey are needed"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_images_are_turned_as_their_exif_data_say(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    shape, pixels = (3, 24, 32), noise()[:24]
    # As the camera holds it: the inverse of each turn.
    inverse: dict[int, Any] = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    held = Image.fromarray(np.ascontiguousarray(inverse[orientation](pixels)))
    path = saved(tmp_path / f"0.{suffix}", held, exif=exif)
    with Image.open(path) as stored:
        expected = ImageOps.exif_transpose(stored).convert("RGB")
    read = image.read(path, shape)
    assert np.array_equal(read, np.asarray(expected).transpose(2, 0, 1))
    if suffix == "png":
        assert np.array_equal(read, pixels.transpose(2, 0, 1))


def test_several_frames_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(seed=seed)) for seed in (0, 1)]
    path = saved(tmp_path / "0.png", frames[0], save_all=True, append_images=frames[1:])
    assert "several frames" in refused(path)
    path = saved(
        tmp_path / "0.jpg", frames[0], format="MPO", save_all=True, append_images=frames[1:]
    )
    assert "several frames" in refused(path)


def test_another_kind_of_file_under_the_name_of_an_image_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "0.jpg"
    for content in (b"", b"<html>not found</html>", b"\0\5\x16\7" + bytes(40)):
        path.write_bytes(content)
        assert "damaged image (no PNG or JPEG inside)" in refused(path)
    assert "damaged image" in refused(saved(path, Image.fromarray(noise()), format="GIF"))
    png_inside = saved(path, Image.fromarray(noise()), format="PNG")
    assert np.array_equal(image.read(png_inside, COLOUR), noise().transpose(2, 0, 1))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_an_image_cut_off_anywhere_is_damaged_or_lacks_no_pixel(
    tmp_path: Path, suffix: str
) -> None:
    path = saved(tmp_path / f"0.{suffix}", Image.fromarray(noise()))
    whole, content = image.read(path, COLOUR), path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        try:
            assert np.array_equal(image.read(path, COLOUR), whole), size
        except DataError as error:
            assert str(path) in str(error)


def test_broken_exif_data_give_an_image_or_a_data_error(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    path = saved(tmp_path / "0.jpg", Image.fromarray(noise()), exif=exif)
    content = path.read_bytes()
    start, source = content.index(b"Exif"), np.random.default_rng(0)
    for _ in range(500):
        broken = bytearray(content)
        for place in source.integers(start, start + 60, 3):
            broken[place] = source.integers(256)
        path.write_bytes(broken)
        try:
            assert image.read(path, COLOUR).shape == COLOUR
        except DataError as error:
            assert str(path) in str(error)

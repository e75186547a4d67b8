"""Data sets as tensors: another shape, a limit, and textures that need no files."""

from pathlib import Path

import pytest
import torch

from hw5hpc.data.load import convert, load


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [27, 28, 32, 33])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 31, 30)])
def test_convert_gives_the_shape_asked_for(
    channels: int, size: int, shape: tuple[int, int, int]
) -> None:
    images = torch.full((2, channels, size, size), 9, dtype=torch.uint8)
    made = convert(images, shape)
    assert made.shape == (2, *shape)
    assert made.dtype == torch.uint8
    assert made.is_contiguous()
    assert int(made[0, 0, shape[1] // 2, shape[2] // 2]) == 9


def test_convert_pads_with_black_and_repeats_the_grey_channel() -> None:
    made = convert(torch.full((1, 1, 28, 28), 7, dtype=torch.uint8), (3, 32, 32))
    assert int(made.sum()) == 7 * 3 * 28 * 28
    assert bool((made[:, :, 2:30, 2:30] == 7).all())


def test_convert_crops_the_centre_and_takes_the_mean_of_the_channels() -> None:
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    images[:, 0, 2, 2], images[:, 1, 2, 2] = 30, 60
    made = convert(images, (1, 28, 28))
    assert int(made[0, 0, 0, 0]) == 30
    assert int(made.sum()) == 30


def test_a_limit_keeps_the_same_images_each_time(mnist: Path) -> None:
    whole, one = load("mnist", str(mnist), None), load("mnist", str(mnist), 4)
    assert (len(one.train_images), len(one.test_images)) == (4, 3)
    assert torch.equal(one.train_images, load("mnist", str(mnist), 4).train_images)
    assert "4 training images" in one.source
    pairs = list(zip(whole.train_images, whole.train_labels, strict=True))
    for image, label in zip(one.train_images, one.train_labels, strict=True):
        assert any(torch.equal(image, i) and bool(label == n) for i, n in pairs)


def test_a_limit_above_the_size_keeps_all(mnist: Path) -> None:
    assert len(load("mnist", str(mnist), 1000).train_images) == 5


# The SHA-256 of their pixels and labels, as recorded by all runs that were trained on them.
TEXTURES = "3523708a3b1841eaee31d8909e4ac59924bd3894da4afdd7b46480dc194fd307"


def test_synthetic_textures_are_the_same_each_time_and_say_what_they_are() -> None:
    one, other = load("synthetic", None, None), load("synthetic", None, None)
    assert one.content == other.content == TEXTURES
    assert one.train_images.shape == (10_000, 3, 32, 32)
    assert one.test_images.shape == (2_000, 3, 32, 32)
    assert sorted(one.train_labels.unique().tolist()) == list(range(10))
    assert "synthetic" in one.source

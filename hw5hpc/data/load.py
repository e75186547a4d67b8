"""Load a data set as uint8 tensors on a device, cut to a limit and brought to a shape."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hw5hpc.data.read import read


@dataclass(frozen=True)
class DataSet:
    """Images uint8 [N, C, H, W] and labels int64 [N], for training and for testing.

    `source` says in words which copy this is; `content` is the SHA-256 of all pixels and labels.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    class_names: tuple[str, ...]
    source: str
    content: str = ""

    def to(self, device: torch.device) -> "DataSet":
        tensors = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **tensors)  # type: ignore[arg-type]


def load(
    name: str, root: str | None, limit: int | None, shape: tuple[int, int, int] | None = None
) -> DataSet:
    """Load a data set.

    Args:
        name: a key of DATA_SETS.
        root: where to look; None for the usual places.
        limit: keep this many training and at most as many test images, chosen by one fixed
            shuffle; a class may be missing from a very small choice.
        shape: convert to (channels, height, width): zero padding or a centre crop, grey by the
            mean of the channels, colour by repetition.

    Raises:
        DataError: the data are absent, cut off or damaged.
    """
    copy = read(name, root)
    train, train_labels, test, test_labels = map(torch.from_numpy, copy.arrays)
    classes, source, content = copy.images.classes, copy.source, copy.content
    data = DataSet(name, train, train_labels, test, test_labels, classes, source, content)
    if limit is not None:
        data = _limited(data, limit)
    if shape is not None:
        data = replace(
            data,
            train_images=convert(data.train_images, shape),
            test_images=convert(data.test_images, shape),
        )
    return data


def _limited(data: DataSet, limit: int) -> DataSet:
    def choose(count: int) -> Tensor:
        return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:limit]

    train, test = choose(len(data.train_images)), choose(len(data.test_images))
    return replace(
        data,
        train_images=data.train_images[train],
        train_labels=data.train_labels[train],
        test_images=data.test_images[test],
        test_labels=data.test_labels[test],
        source=f"{data.source}, {len(train)} training images",
    )


def convert(images: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Return uint8 images [N, C, H, W] in another shape (see load)."""
    if images.shape[1:] == shape:
        # Not even a copy: processes share what they were forked with.
        return images
    channels, height, width = shape
    if images.shape[1] != channels:
        grey = (
            images.float().mean(1, keepdim=True).round().byte() if images.shape[1] > 1 else images
        )
        images = grey.expand(-1, channels, -1, -1)
    top, left = (height - images.shape[2]) // 2, (width - images.shape[3]) // 2
    bottom, right = height - images.shape[2] - top, width - images.shape[3] - left
    # Negative padding crops.
    return torch.nn.functional.pad(images, (left, right, top, bottom)).contiguous()

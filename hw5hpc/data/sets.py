"""The data sets, one row each; what reads one is imported only when it is read."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from hw5hpc.errors import UserError, unknown

if TYPE_CHECKING:
    from hw5hpc.data.arrays import Arrays


class DataError(UserError):
    """Data that are absent or damaged; the message says where they were looked for."""


class DamagedDownload(DataError):
    """A downloaded file that is missing or damaged: it has to be got again."""


class Reader(Protocol):
    """What the module of a layout on disk offers."""

    def recognised(self, folder: Path) -> bool:
        """Whether the folder holds a data set in this layout, at least in part."""

    def read(self, folder: Path, images: "ImageSet") -> "tuple[Arrays, str]":
        """Return the arrays and, in words, which copy they are; DataError names what is wrong."""


class Maker(Protocol):
    """What the module of a data set that is made on the fly offers."""

    def make(self) -> "tuple[Arrays, str]":
        """Return the arrays and, in words, what they are."""


@dataclass(frozen=True)
class ImageSet:
    """A data set: its title in figures, what its images are, where they lie, what reads them.

    `shape` is (channels, height, width), one channel for grey and three for colour. `folders` are
    looked for in every place that is searched; a place may be the data set itself only where a
    copy shows which one it is (`names_itself`: by checksums or the names of its classes).
    `download` is torchvision's class. `md5` maps a file to the checksum of its official content.
    """

    title: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    reader: str = ""
    maker: str = ""
    folders: tuple[str, ...] = ()
    names_itself: bool = False
    download: str = ""
    md5: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "grey" if self.shape[0] == 1 else "colour"

    def load_reader(self) -> Reader:
        return cast(Reader, importlib.import_module(self.reader))

    def load_maker(self) -> Maker:
        return cast(Maker, importlib.import_module(self.maker))


GREY_28, COLOUR_32 = (1, 28, 28), (3, 32, 32)

# The MD5 sums of idx files are those of the unpacked content: a .gz is packed anew by some mirrors.
DATA_SETS: dict[str, ImageSet] = {
    "cifar10": ImageSet(
        title="CIFAR-10",
        classes=(
            "airplane", "automobile", "bird", "cat", "deer",
            "dog", "frog", "horse", "ship", "truck",
        ),
        shape=COLOUR_32,
        reader="hw5hpc.data.cifar",
        folders=("cifar-10-batches-py", "cifar10", "cifar-10"),
        names_itself=True,
        download="CIFAR10",
        # As torchvision.datasets.CIFAR10 lists them.
        md5={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
        },
    ),
    "fashion_mnist": ImageSet(
        title="Fashion-MNIST",
        classes=(
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
        shape=GREY_28,
        reader="hw5hpc.data.idx",
        folders=("FashionMNIST/raw", "fashion-mnist", "fashion_mnist"),
        download="FashionMNIST",
        md5={
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
    ),
    "mnist": ImageSet(
        title="MNIST",
        classes=tuple("0123456789"),
        shape=GREY_28,
        reader="hw5hpc.data.idx",
        folders=("MNIST/raw", "mnist"),
        download="MNIST",
        md5={
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    "synthetic": ImageSet(
        title="SYNTHETIC data",
        classes=tuple(f"texture {18 * i}°" for i in range(10)),
        shape=COLOUR_32,
        maker="hw5hpc.data.textures",
    ),
}  # fmt: skip


def choose(name: str) -> ImageSet:
    """Return a data set's row.

    Raises:
        DataError: no data set has this name; the nearest one is named.
    """
    if name not in DATA_SETS:
        raise DataError(unknown("data set", name, DATA_SETS))
    return DATA_SETS[name]

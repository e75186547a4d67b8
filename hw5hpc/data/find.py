"""Find data sets on disk, without torch."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hw5hpc.errors import UserError, unknown

DEBIAN = Path("/usr/share/datasets")
CACHE = Path("~/.cache/hw5hpc/data")
MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CIFAR_FOLDER = "cifar-10-batches-py"


class DataError(UserError):
    """Data that are absent or damaged; the message says where they were looked for."""


@dataclass(frozen=True)
class Layout:
    """How a data set lies on disk: its sub-folders by custom, and how a folder is recognised."""

    folders: tuple[str, ...]
    kind: str


LOOKED_FOR: dict[str, Layout] = {
    "fashion_mnist": Layout(("FashionMNIST/raw", "fashion-mnist", "fashion_mnist"), "idx"),
    "mnist": Layout(("MNIST/raw", "mnist"), "idx"),
    "cifar10": Layout((CIFAR_FOLDER, "cifar10", "cifar-10"), "cifar"),
}
MADE = ("synthetic",)


def again(name: str) -> str:
    """Return the remedy for a damaged copy: one that is there keeps a download from starting."""
    return f"remove its folder and run: python jobs/fetch_data.py {name}"


def check_name(name: str) -> None:
    """Raise DataError for a name that is no data set on disk."""
    if name not in LOOKED_FOR:
        raise DataError(unknown("data set", name, LOOKED_FOR))


def idx_file(folder: Path, stem: str) -> Path | None:
    """Return the idx file of this stem, plain or gzipped."""
    return next((p for p in (folder / stem, folder / f"{stem}.gz") if p.is_file()), None)


def recognised(folder: Path, kind: str) -> bool:
    """Whether a folder holds a data set of this kind, at least in part."""
    if kind == "idx":
        return any(idx_file(folder, stem) for stem in MNIST_FILES)
    if (folder / "train").is_dir() or (folder / "data_batch_1").is_file():
        return True
    return (folder / CIFAR_FOLDER / "data_batch_1").is_file()


def places(root: str | None) -> list[Path]:
    """Return the folders that are searched: `root` alone when given, else the usual ones."""
    if root is not None:
        return [Path(os.path.expandvars(root)).expanduser()]
    own = os.environ.get("HW5HPC_DATA")
    return [*([Path(own).expanduser()] if own else []), CACHE.expanduser(), DEBIAN]


def _candidates(name: str, root: str | None) -> Iterator[Path]:
    layout = LOOKED_FOR[name]
    for place in places(root):
        yield from (place / folder for folder in layout.folders)
        # The folder itself may be the data set, but only where it was named for it.
        if root is not None or (place != DEBIAN and layout.kind == "cifar"):
            yield place


def find(name: str, root: str | None) -> Path | None:
    """Return the folder of a data set, or None."""
    check_name(name)
    kind = LOOKED_FOR[name].kind
    return next((folder for folder in _candidates(name, root) if recognised(folder, kind)), None)


def require(name: str, root: str | None) -> Path | None:
    """Return the folder of a data set (None for one that is made on the fly).

    Raises:
        DataError: it is nowhere.
    """
    if name in MADE:
        return None
    folder = find(name, root)
    if folder is None:
        searched = ", ".join(str(place) for place in places(root))
        raise DataError(
            f"data.name {name!r} was not found in {searched}; "
            f"get it with: python jobs/fetch_data.py {name}"
        )
    return folder

"""Find data sets on disk, without torch."""

import os
from collections.abc import Iterator
from pathlib import Path

from hw5hpc.data.sets import DataError, ImageSet, choose

DEBIAN = Path("/usr/share/datasets")
VARIABLE = "HW5HPC_DATA"
# Where a small home is, users move all caches at once with this.
CACHES = "XDG_CACHE_HOME"


def again(name: str) -> str:
    """Return the remedy for a damaged copy: one that is there keeps a download from starting."""
    return f"remove its folder and run: python jobs/fetch_data.py {name}"


def absolute(written: str, where: str) -> Path:
    """Return a folder as it was written, its variables and ~ expanded, from the working directory.

    Raises:
        DataError: the home folder of ~ or ~user is not known; `where` says who wrote it.
    """
    try:
        return Path(os.path.expandvars(written)).expanduser().absolute()
    except RuntimeError as error:
        user = Path(os.path.expandvars(written)).parts[0]
        raise DataError(f"{where} {written!r}: the home folder {user} is not known") from error


def cache() -> Path:
    """Return the folder that downloads go to: ~/.cache/hw5hpc/data, or below $XDG_CACHE_HOME."""
    caches = os.environ.get(CACHES) or "~/.cache"
    return absolute(caches, "the folder for downloads") / "hw5hpc" / "data"


def own_place() -> Path | None:
    """Return $HW5HPC_DATA, or None when it is not set."""
    written = os.environ.get(VARIABLE)
    return absolute(written, f"${VARIABLE}") if written else None


def places(root: str | None) -> list[Path]:
    """Return the folders that are searched: `root` alone when given, else the usual ones."""
    if root is not None:
        return [absolute(root, "data.root")]
    own = own_place()
    return [*([own] if own else []), cache(), DEBIAN]


def _candidates(images: ImageSet, root: str | None) -> Iterator[Path]:
    for place in places(root):
        yield from (place / folder for folder in images.folders)
        if root is not None or (place != DEBIAN and images.names_itself):
            yield place


def find(name: str, root: str | None) -> Path | None:
    """Return the folder of a data set; None when it is nowhere, or made on the fly.

    Raises:
        DataError: an unknown name, or a folder that may not be looked into.
    """
    images = choose(name)
    if not images.reader:
        return None
    recognised = images.load_reader().recognised
    for folder in _candidates(images, root):
        try:
            if recognised(folder):
                return folder
        except OSError as error:
            raise DataError(f"{folder}: {error.strerror}") from error
    return None


def require(name: str, root: str | None) -> Path | None:
    """Return the folder of a data set (None for one that is made on the fly).

    Raises:
        DataError: it is nowhere.
    """
    images = choose(name)
    folder = find(name, root)
    if folder is None and images.reader:
        searched = ", ".join(str(place) for place in places(root))
        put = f"there is no download; put it there as {images.folders[0]}/"
        get = f"get it with: python jobs/fetch_data.py {name}" if images.download else put
        raise DataError(f"data.name {name!r} was not found in {searched}; {get}")
    return folder


def root_for_nodes(name: str, root: str | None) -> str | None:
    """Return the root that means on every node what `root` means here, in this directory.

    Data that lie where a variable says get that folder as their root: not every site hands a job
    the environment that it was sent from, and a relative path would mean another folder there.

    Raises:
        DataError: a home folder is not known.
    """
    if root is not None:
        return str(absolute(root, "data.root"))
    folder = find(name, None)
    told = [own_place(), cache() if os.environ.get(CACHES) else None]
    mine = [place for place in told if place and folder and folder.is_relative_to(place)]
    return next(map(str, mine), None)

"""Find a data set, or download it with torchvision."""

from pathlib import Path

from hw5hpc.data.find import cache, find, own_place, places, require
from hw5hpc.data.sets import DataError, choose


def fetch(name: str, root: str | None) -> Path:
    """Find a data set, or download it with torchvision (which verifies its checksums).

    A download goes to `root`, else to $HW5HPC_DATA, else to the user's cache.

    Raises:
        DataError: the download failed, or there is none.
    """
    images = choose(name)
    if not images.reader:
        raise DataError(f"{name}: made on the fly, there is nothing to get")
    found = find(name, root) if images.download else require(name, root)
    if found is not None:
        return found
    target = places(root)[0] if root else own_place() or cache()
    try:
        # What lies here already needs no torchvision, which must fit torch exactly.
        import torchvision

        getattr(torchvision.datasets, images.download)(str(target), download=True)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{name}: not found here, and its download to {target} failed: {reason}"
        ) from error
    found = find(name, root)
    if found is None:
        raise DataError(f"{name}: downloaded to {target}, but not found there")
    return found

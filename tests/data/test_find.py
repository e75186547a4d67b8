"""Data sets are found where they lie, and the line for absent ones helps."""

from dataclasses import replace
from pathlib import Path

import pytest
import torchvision

from hw5hpc.data.fetch import fetch
from hw5hpc.data.find import find, require, root_for_nodes
from hw5hpc.data.idx import FILES
from hw5hpc.data.sets import DATA_SETS, DataError


def raw(root: Path, stem: str = FILES[0]) -> Path:
    return root / "MNIST" / "raw" / stem


def test_what_is_made_on_the_fly_needs_no_folder() -> None:
    assert require("synthetic", None) is None


def test_a_misspelt_name_is_corrected() -> None:
    with pytest.raises(DataError, match="fashion_mnist"):
        find("fashion-mnist", None)


def test_data_are_found_by_the_environment(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HW5HPC_DATA", str(mnist))
    assert find("mnist", None) == raw(mnist).parent
    assert find("fashion_mnist", None) is None


def test_a_root_may_hold_variables(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEWHERE", str(mnist))
    assert find("mnist", "$SOMEWHERE") == raw(mnist).parent
    assert fetch("mnist", "$SOMEWHERE") == raw(mnist).parent


def test_a_download_goes_to_the_root_with_its_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(root: str, download: bool) -> None:
        raise RuntimeError(f"no network for {root}")

    monkeypatch.setenv("SOMEWHERE", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "MNIST", refuse)
    with pytest.raises(DataError, match=f"no network for {tmp_path}/data"):
        fetch("mnist", "$SOMEWHERE/data")


@pytest.mark.parametrize("variable", ["HW5HPC_DATA", "XDG_CACHE_HOME"])
def test_without_a_root_a_download_goes_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    def refuse(root: str, download: bool) -> None:
        raise RuntimeError(f"no network for {root}")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv(variable, str(tmp_path / "there"))
    monkeypatch.setattr(torchvision.datasets, "KMNIST", refuse)
    monkeypatch.setitem(DATA_SETS, "kmnist", replace(DATA_SETS["mnist"], folders=("k",),
                                                     download="KMNIST"))  # fmt: skip
    below = {"HW5HPC_DATA": "there", "XDG_CACHE_HOME": "there/hw5hpc/data"}[variable]
    with pytest.raises(DataError, match=f"no network for {tmp_path}/{below}$"):
        fetch("kmnist", None)


def test_a_home_folder_that_nobody_has_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DataError, match=r"data\.root '~nobody_at_all/x': the home folder"
    ) as caught:
        require("mnist", "~nobody_at_all/x")
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("HW5HPC_DATA", "~nobody_at_all/x")
    with pytest.raises(DataError, match=r"\$HW5HPC_DATA '~nobody_at_all/x': the home folder"):
        require("mnist", None)


def test_a_folder_that_may_not_be_looked_into_is_one_clear_line(tmp_path: Path) -> None:
    name = "a" * 300
    with pytest.raises(DataError, match="File name too long") as caught:
        require("mnist", str(tmp_path / name))
    assert name in str(caught.value)


def test_a_home_folder_is_expanded(empty_home: Path, mnist: Path) -> None:
    mnist.rename(empty_home / "images")
    assert find("mnist", "~/images") == raw(empty_home / "images").parent


@pytest.mark.parametrize("written", ["root", "./root", "~/../root", "$SOMEWHERE"])
def test_a_root_means_the_same_in_every_directory(
    mnist: Path, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMEWHERE", "root")
    monkeypatch.chdir(mnist.parent)
    root = root_for_nodes("mnist", written)
    monkeypatch.chdir("/")
    monkeypatch.delenv("SOMEWHERE")
    folder = find("mnist", root)
    assert folder is not None
    assert folder.samefile(raw(mnist).parent)


def test_data_found_by_the_environment_need_no_environment_on_a_node(
    mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mnist.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    (mnist.parent / "caches" / "hw5hpc").mkdir(parents=True)
    (mnist.parent / "caches" / "hw5hpc" / "data").symlink_to(mnist)
    assert root_for_nodes("mnist", None) == str(mnist.parent / "caches" / "hw5hpc" / "data")
    monkeypatch.setenv("HW5HPC_DATA", "root")
    assert root_for_nodes("mnist", None) == str(mnist)
    assert root_for_nodes("fashion_mnist", None) is None
    assert root_for_nodes("synthetic", None) is None


def test_what_is_made_on_the_fly_cannot_be_got() -> None:
    with pytest.raises(DataError, match="made on the fly"):
        fetch("synthetic", None)


def test_absent_data_without_a_download_say_where_to_put_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = replace(DATA_SETS["cifar10"], folders=("birds",), download="")
    monkeypatch.setitem(DATA_SETS, "birds", row)
    for call in (require, fetch):
        with pytest.raises(DataError, match="no download; put it there as birds/"):
            call("birds", None)

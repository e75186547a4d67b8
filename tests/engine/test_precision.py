"""What a GPU is told before a run: the same bits each time, and no shortcut but those asked for."""

from collections.abc import Iterator

import pytest
import torch

from hw5hpc.engine.precision import settle

GPU, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """torch keeps these for the whole process."""
    strict = torch.are_deterministic_algorithms_enabled()
    shortcuts = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    yield
    torch.use_deterministic_algorithms(strict)
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = shortcuts


@pytest.mark.parametrize(
    ("precision", "shortcut"), [("fp32", False), ("tf32", True), ("bf16", False)]
)
def test_a_gpu_rounds_products_only_where_that_was_asked_for(
    precision: str, shortcut: bool
) -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = not shortcut
    settle(GPU, precision)
    assert torch.backends.cudnn.allow_tf32 is shortcut
    assert torch.backends.cuda.matmul.allow_tf32 is shortcut
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()


def test_a_cpu_is_left_as_it_is() -> None:
    settle(CPU, "tf32")
    assert not torch.are_deterministic_algorithms_enabled()

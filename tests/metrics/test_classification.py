"""Accuracy, loss and confusion: by hand, against torch, and whatever the chunks."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import hw5hpc.metrics.classification as classification
from hw5hpc.metrics.classification import evaluate


def identity(scores: Tensor) -> Tensor:
    return scores


def random_scores(count: int) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    scores = torch.randn(count, 10, generator=source)
    return scores, torch.randint(10, (count,), generator=source)


def test_by_hand() -> None:
    # Truth 0 twice, once taken for 2; truth 1 once, right; class 2 is missing.
    scores = torch.tensor([[9.0, 0, 0], [0, 0, 9.0], [0, 9.0, 0]])
    found = evaluate(identity, scores, torch.tensor([0, 0, 1]), 3)
    assert found.confusion.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert found.accuracy == pytest.approx(2 / 3)
    right = math.log(1 + 2 * math.exp(-9))
    assert found.loss == pytest.approx((3 * right + 9) / 3, rel=1e-6)


# 1,003 leaves a smaller last chunk, whose mean must not count as much as a full one's.
@pytest.mark.parametrize("chunk", [1, 7, 100, 5000])
def test_chunks_change_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "CHUNK", chunk)
    scores, labels = random_scores(1003)
    found = evaluate(identity, scores, labels)
    assert found.loss == pytest.approx(float(cross_entropy(scores, labels)), rel=1e-6)
    assert found.accuracy == float((scores.argmax(1) == labels).double().mean())
    assert int(found.confusion.sum()) == 1003
    assert found.confusion.sum(1).tolist() == torch.bincount(labels, minlength=10).tolist()


def test_nothing_is_kept_for_a_backward_pass() -> None:
    scores, labels = random_scores(5)
    seen: list[bool] = []

    def scores_of(part: Tensor) -> Tensor:
        seen.append((part * scores.requires_grad_()).requires_grad)
        return part

    evaluate(scores_of, scores.detach().clone(), labels)
    assert seen == [False]


def test_a_loss_that_is_no_number_is_told() -> None:
    scores, labels = random_scores(5)
    scores[3] = math.nan
    assert math.isnan(evaluate(identity, scores, labels).loss)

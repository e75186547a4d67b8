"""Every row of the table of optimizers trains, and its state comes back from a checkpoint."""

import copy
import subprocess
import sys
import textwrap

import pytest
import torch

from hw5hpc.experiments import rebuild
from hw5hpc.experiments.classifier.config import ClassifierConfig
from hw5hpc.experiments.optimizers import OPTIMIZERS, OptimConfig, build
from hw5hpc.sweep import run_id


def descend(name: str, steps: int, state: object = None) -> tuple[torch.nn.Parameter, object]:
    """Minimise |x - 3|², from 0 or from what an earlier call returned."""
    x = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = build(OptimConfig(name=name, lr=0.05), [x], torch.device("cpu"))
    if state is not None:
        before, inner = copy.deepcopy(state)  # type: ignore[misc]
        x.data.copy_(before)
        optimizer.load_state_dict(inner)
    for _ in range(steps):
        optimizer.zero_grad()
        (x - 3).square().sum().backward()
        optimizer.step()
    return x, (x.detach(), optimizer.state_dict())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_descends(name: str) -> None:
    x, _ = descend(name, 200)
    assert torch.allclose(x, torch.tensor(3.0, dtype=torch.float64), atol=0.3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_goes_on_as_if_it_had_not_been_stopped(name: str) -> None:
    straight, _ = descend(name, 20)
    _, state = descend(name, 9)
    assert torch.equal(descend(name, 11, state)[0], straight)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_takes_the_very_steps_of_torchs_own(name: str) -> None:
    mine, torchs = (torch.nn.Parameter(torch.zeros(4)) for _ in range(2))
    config = OptimConfig(name=name, lr=0.05)
    kind, arguments = OPTIMIZERS[name]
    both = [
        (mine, build(config, [mine], torch.device("cpu"))),
        (torchs, getattr(torch.optim, kind)([torchs], **arguments(config, False))),
    ]
    for _ in range(5):
        for x, optimizer in both:
            optimizer.zero_grad()
            (x - 3).square().sum().backward()
            optimizer.step()
    assert torch.equal(mine, torchs)
    assert both[0][1].state_dict().keys() == both[1][1].state_dict().keys()


def test_no_training_imports_torchs_compiler() -> None:
    code = """
        import sys, torch
        from hw5hpc.experiments.optimizers import OPTIMIZERS, OptimConfig, build
        x = torch.nn.Parameter(torch.ones(2))
        for name in OPTIMIZERS:
            optimizer = build(OptimConfig(name=name), [x], torch.device("cpu"))
            optimizer.zero_grad()
            x.sum().backward()
            optimizer.step()
            optimizer.load_state_dict(optimizer.state_dict())
        sys.exit("torch._dynamo" in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)]).returncode == 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_its_name_is_part_of_the_id(name: str) -> None:
    config = ClassifierConfig(optim=OptimConfig(name=name))
    same = run_id("classifier", config) == run_id("classifier", ClassifierConfig())
    assert same == (name == "adam")


def test_the_lookahead_takes_adam_alone() -> None:
    with pytest.raises(ValueError, match=r"optim.name.* takes one of adam, got 'sgd'"):
        rebuild("gan", {"optim.name": "sgd"})

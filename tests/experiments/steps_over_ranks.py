"""One rank of the equality tests: train each case for some steps and save all that came of it.

    python steps_over_ranks.py RANK SIZE FOLDER JOB...

The processes meet through a file in FOLDER. The job `steps` trains the cases below;
`stop:CASE:NAME` and `end:CASE:NAME` train a run through the loop, to a stop that the last rank
alone asks for, and to its end.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor

from hw5hpc.engine.batches import Batches
from hw5hpc.engine.distributed import Ranks
from hw5hpc.engine.loop import Watch, train
from hw5hpc.engine.random import generator
from hw5hpc.engine.unroll import GanHyper, GanState, gan_step
from hw5hpc.experiments import EXPERIMENTS, adversarial, rebuild
from hw5hpc.models.mlp import Mlp, classifier_widths
from hw5hpc.store import Outputs

# With 4 a GAN's second epoch has begun, too; its steps take most of the time.
STEPS = {"classifier": 10, "cnn": 10, "gan": 4, "ring": 10}
# 16 images in batches of 7, 7 and 2: no share is even, and of the last batch one of 3 is empty.
TINY = {"data.name": "synthetic", "data.limit": 16, "train.batch_size": 7, "train.epochs": 4}
# Where a gradient is zero but for rounding, Adam's usual epsilon of 1e-8 makes a whole step of it;
# a larger one lets a comparison see the mathematics.
CALM = {**TINY, "optim.eps": 1e-3}
NORM = {"model.batch_norm": True}
GAN = {"score.samples": 31}
FULL_GAN = {**TINY, **GAN, "data.limit": 300, "train.batch_size": 127}
SADDLE = {"gan.objective": "saddle"}
RING = {"train.batch_size": 5, "ring.samples": 50, "gan.noise_size": 8}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "classifier": ("classifier", TINY),
    "cnn": ("cnn", TINY),
    "cnn_batch_norm": ("cnn", {**TINY, **NORM}),
    "cnn_batch_norm_calm": ("cnn", {**CALM, **NORM}),
    "cnn_batch_norm_slow": ("cnn", {**CALM, **NORM, "optim.lr": 1e-5}),
    "cnn_norm_after_relu": ("cnn", {**CALM, **NORM, "model.batch_norm_placement": "after_relu"}),
    "gan_0": ("gan", {**TINY, **GAN}),
    "gan_1": ("gan", {**FULL_GAN, "gan.unroll_steps": 1}),
    "gan_5": ("gan", {**FULL_GAN, "gan.unroll_steps": 5}),
    "gan_1_calm": ("gan", {**CALM, **GAN, "gan.unroll_steps": 1}),
    "gan_5_calm": ("gan", {**CALM, **GAN, "gan.unroll_steps": 5}),
    "ring_0": ("ring", RING),
    "ring_1": ("ring", {**RING, "gan.unroll_steps": 1}),
    "ring_5": ("ring", {**RING, "gan.unroll_steps": 5}),
    "gan_saddle_0_calm": ("gan", {**CALM, **GAN, **SADDLE}),
    "gan_saddle_1_calm": ("gan", {**CALM, **GAN, **SADDLE, "gan.unroll_steps": 1}),
    "gan_saddle_5_calm": ("gan", {**CALM, **GAN, **SADDLE, "gan.unroll_steps": 5}),
    "ring_saddle_0": ("ring", {**RING, **SADDLE}),
    "ring_saddle_1": ("ring", {**RING, **SADDLE, "gan.unroll_steps": 1}),
    "ring_saddle_5": ("ring", {**RING, **SADDLE, "gan.unroll_steps": 5}),
    "ring_batch_of_2": ("ring", {**RING, "gan.unroll_steps": 1, "train.batch_size": 2}),
}


def build(case: str, ranks: Ranks) -> Any:
    experiment, values = CASES[case]
    classifier = Mlp(classifier_widths(), generator("cpu", 5)).state_dict()
    weights = {"classifier": classifier} if experiment == "gan" else {}
    config = rebuild(experiment, values)
    return EXPERIMENTS[experiment].load()(config, torch.device("cpu"), weights, ranks)


def some_steps(case: str, ranks: Ranks) -> dict[str, Any]:
    """Return the state, the summed losses, and what an evaluation measures."""
    training = build(case, ranks)
    losses: list[dict[str, float]] = []
    for number in range(STEPS[CASES[case][0]]):
        epoch, index = divmod(number, min(training.steps_per_epoch, 5))
        parts, _ = training.step(epoch + 1, index)
        losses.append({name: float(ranks.sum(part.double())) for name, part in parts.items()})
    measured = [asdict(training.evaluate(1)), asdict(training.finish())]
    sent = bytes_of(lambda: training.step(9, 0))
    return {"state": training.state(), "losses": losses, "measured": measured, "sent": sent}


def bytes_of(step: Callable[[], object]) -> list[int]:
    """Return the size in bytes of every all-reduce that a step calls itself (DDP's are its own)."""
    sizes: list[int] = []
    real = dist.all_reduce

    def counted(tensor: Tensor) -> None:
        sizes.append(tensor.numel() * tensor.element_size())
        real(tensor)

    with mock.patch.object(dist, "all_reduce", counted):
        step()
    return sizes


@contextmanager
def backwards() -> Iterator[None]:
    """Let every batch come in the opposite order: another rounding of the same mathematics."""
    indices = Batches.indices

    def reversed_step(state: GanState, nets: Any, real: Tensor, noise: Tensor, *rest: Any) -> Any:
        return gan_step(state, nets, real, noise.flip(0), *rest)

    with (
        mock.patch.object(Batches, "indices", lambda *where: indices(*where).flip(0)),
        mock.patch.object(adversarial, "gan_step", reversed_step),
    ):
        yield


def values_only(ranks: Ranks) -> Callable[[Tensor], Tensor]:
    """The sum over ranks, whose derivative forgets the others: a plain all-reduce in the graph."""
    return lambda gradient: gradient + (ranks.sum(gradient.detach()) - gradient.detach())


def constant(ranks: Ranks) -> Callable[[Tensor], Tensor]:
    """The sum over ranks, cut from the graph."""
    return lambda gradient: ranks.sum(gradient.detach())


def local_lookahead(ranks: Ranks) -> Any:
    """Each rank looks ahead by itself; only the outer gradients are summed, as DDP would."""

    def step(
        state: GanState, nets: Any, real: Tensor, noise: Tensor, hyper: GanHyper, _: Any, batch: int
    ) -> tuple[GanState, dict[str, Tensor]]:
        def outer(gradient: Tensor) -> Tensor:
            inner = gradient.requires_grad or len(gradient) == len(state.discriminator)
            return gradient * ranks.size if inner else ranks.sum(gradient)

        right, losses = gan_step(state, nets, real, noise, hyper, ranks.sum, batch)
        wrong, _ = gan_step(state, nets, real, noise, hyper, outer, batch)
        made = replace(right, generator=wrong.generator, generator_adam=wrong.generator_adam)
        return made, losses

    return step


def with_reduction(reduce: Callable[[Tensor], Tensor], *args: Any) -> Any:
    return gan_step(*args[:5], reduce, *args[6:])


def wrong_ways(ranks: Ranks) -> dict[str, Any]:
    """Return {way_case: state after some steps} for three shortcuts through the lookahead."""
    found = {}
    for case in ("ring_1", "ring_5"):
        for way in (values_only, constant):
            step = partial(with_reduction, way(ranks))
            with mock.patch.object(adversarial, "gan_step", step):
                found[f"{way.__name__}-{case}"] = some_steps(case, ranks)["state"]
        with mock.patch.object(adversarial, "gan_step", local_lookahead(ranks)):
            found[f"local_lookahead-{case}"] = some_steps(case, ranks)["state"]
    return found


def steps(ranks: Ranks, folder: Path) -> None:
    found: dict[str, Any] = {}
    for dtype in (torch.float64, torch.float32):
        torch.set_default_dtype(dtype)
        for case in CASES:
            name = f"{case}-{str(dtype).removeprefix('torch.')}"
            found[name] = some_steps(case, ranks)
            if ranks.alone:
                with backwards():
                    found[f"backwards-{name}"] = some_steps(case, ranks)
    torch.set_default_dtype(torch.float64)
    found |= wrong_ways(ranks)
    torch.save(found, folder / f"of_{ranks.size}.{ranks.rank}.pt")


def loop(ranks: Ranks, folder: Path, case: str, looks: int) -> None:
    """Train one run through the loop; only the last rank asks for a stop, after `looks`."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_default_dtype(torch.float64)
    run = Outputs(folder).run("run")
    if ranks.first:
        run.create(case, {})
    left = iter(range(looks))
    watch = Watch(stop=lambda: ranks.rank == ranks.size - 1 and next(left, None) is None)
    training = build(case, ranks)
    outcome = train(training, run, torch.device("cpu"), watch, ranks)
    name = f"{outcome.state}_on_{ranks.size}.{ranks.rank}.pt"
    torch.save(training.weights(), folder / name)


def main() -> None:
    rank, size, folder, jobs = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/{jobs[0]}_on_{size}", rank=rank, world_size=size
    )
    ranks = Ranks(rank, size)
    for job in jobs:
        if job == "steps":
            steps(ranks, folder)
        else:
            mode, case, name = job.split(":")
            loop(ranks, folder / name / case, case, looks=5 if mode == "stop" else 10**9)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()

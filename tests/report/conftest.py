"""Sweeps as finished runs leave them: made through the real store, with plausible numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hw5hpc.store import Outputs, RunFolder, State, Status, SweepFolder

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
Rows = list[dict[str, float]]


@dataclass
class Made:
    """What one fake run measured."""

    rows: Rows
    final: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    state: State = State.FINISHED
    reason: str = ""


def _measures(shares: np.ndarray) -> dict[str, float]:
    entropy = float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    return {
        "classes_covered": int((shares >= 0.01).sum()),
        "entropy": entropy,
        "total_variation": float(np.abs(shares - 0.1).sum() / 2),
        "kl_uniform": float(np.log(10)) - entropy,
    }


FIDELITY = {
    # name: (samples after the last epoch, real images, noise)
    "frechet_distance": (90.0, 1.4, 340.0),
    "precision": (0.95, 0.91, 0.7),
    "recall": (0.1, 0.86, 0.05),
    "density": (1.4, 1.07, 0.59),
    "coverage": (0.3, 0.98, 0.09),
    "diversity": (0.6, 1.01, 0.5),
    "near_duplicates": (0.3, 0.018, 0.0),
}


def _fidelity(rng: np.random.Generator) -> dict[str, float]:
    made = {name: value * rng.uniform(0.8, 1.0) for name, (value, _, _) in FIDELITY.items()}
    real = {f"real_{name}": value for name, (_, value, _) in FIDELITY.items()}
    return {**made, **real, **{f"noise_{name}": end for name, (_, _, end) in FIDELITY.items()}}


def gan(config: dict[str, Any], rng: np.random.Generator, epochs: int = 10) -> Made:
    depth, rows, arrays = config["gan.unroll_steps"], [], {"label_histogram": {}, "samples": {}}
    for epoch in range(1, epochs + 1):
        spread = 0.15 + 0.1 * np.log1p(depth) + 0.04 * epoch
        counts = rng.multinomial(3000, rng.dirichlet(np.full(10, spread)))
        losses = {
            "discriminator_loss": 1.2 - 0.05 * depth + 0.3 / epoch + rng.normal(0, 0.03),
            "generator_loss": 0.8 + 0.1 * depth + 0.02 * epoch + rng.normal(0, 0.05),
        }
        rows.append({"epoch": epoch, "step": epoch * 469, **losses, **_measures(counts / 3000)})
        arrays["label_histogram"][epoch] = counts
        if epoch in (1, (epochs + 1) // 2, epochs):
            arrays["samples"][epoch] = rng.integers(0, 25 * epoch, (64, 28, 28)).astype(np.uint8)
    real = rng.multinomial(10_000, np.full(10, 0.1))
    arrays["real_histogram"] = {epochs: real}
    noise = rng.multinomial(3000, rng.dirichlet(np.full(10, 0.5)))
    own = {f"real_{name}": value for name, value in _measures(real / 10_000).items()}
    own |= {f"noise_{name}": value for name, value in _measures(noise / 3000).items()}
    own |= {**_fidelity(rng), "classifier_accuracy": 0.87}
    return Made(rows, {**rows[-1], **own}, arrays)


def cnn(config: dict[str, Any], rng: np.random.Generator, epochs: int = 10) -> Made:
    norm, rate = config["model.batch_norm"], config["optim.lr"]
    start = {"filters": {0: rng.normal(0, 0.1, (64, 3, 11, 11)).astype(np.float32)}}
    start["filters"][0][3] = 0.25
    start["examples"] = {0: rng.integers(0, 256, (10, 8, 3, 32, 32)).astype(np.uint8)}
    if rate >= 0.1 and not norm:
        rows = [{"epoch": 1, "step": 1563, "train_loss": float("nan")}]
        reason = "a loss became NaN or infinite in epoch 1"
        return Made(rows, rows[-1], start, State.DIVERGED, reason)
    rows = []
    best = 0.65 - 0.08 * abs(np.log10(rate) + 3) + 0.015 * norm
    for epoch in range(1, epochs + 1):
        accuracy = max(best - 0.25 / epoch, 0.1) + rng.normal(0, 0.008)
        loss = {"train_loss": 2.3 * (1 - accuracy) + 0.15 * norm, "test_loss": 2.4 * (1 - accuracy)}
        row = {"epoch": epoch, "step": epoch * 1563, **loss, "train_accuracy": accuracy + 0.02}
        rows.append({**row, "test_accuracy": accuracy})
    start["filters"][epochs] = start["filters"][0] + rng.normal(0, 0.2, (64, 3, 11, 11))
    wrong = [rng.multinomial(1000, 0.65 * np.eye(10)[i] + 0.035) for i in range(10)]
    return Made(rows, rows[-1], {**start, "confusion": {epochs: np.array(wrong)}})


def ring(config: dict[str, Any], rng: np.random.Generator, epochs: int = 10) -> Made:
    depth, rows, samples = config["gan.unroll_steps"], [], {}
    for epoch in range(1, epochs + 1):
        modes = min(8, epoch) if depth >= 5 else int(rng.integers(0, 3))
        angle = 2 * np.pi * rng.integers(0, max(modes, 1), 2500) / 8
        centre = np.stack([np.cos(angle), np.sin(angle)], 1)
        samples[epoch] = (centre + rng.normal(0, 0.03, (2500, 2))).astype(np.float32)
        row = {
            "epoch": epoch,
            "step": 500 * epoch,
            "modes_covered": modes,
            "kl_modes": 2 - modes / 4,
        }
        losses = {"generator_loss": 0.8, "discriminator_loss": 1.3}
        rows.append({**row, **losses, "high_quality_share": 0.1 + modes / 10})
    return Made(rows, rows[-1], {"samples": samples})


def softmax(config: dict[str, Any], rng: np.random.Generator, epochs: int = 1) -> Made:
    unit = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 6e-8, "float64": 1e-16}
    largest = {"float16": 11, "bfloat16": 88, "float32": 88, "float64": 709}
    kind, offset = config["softmax.dtype"], config["softmax.offset"]
    broken = offset > largest[kind]
    error = unit[kind] * (1 + offset / 10)
    found = {
        "naive_error": float("nan") if broken else error,
        "shifted_error": 0.0 if kind == "float64" and offset == 0 else error / 2,
        "naive_nan": 100 * broken,
        "naive_inf": 0,
        "shifted_nan": 0,
        "shifted_inf": 0,
    }
    return Made([{"epoch": 1, "step": 1, **found}], found)


def classifier(config: dict[str, Any], rng: np.random.Generator, epochs: int = 10) -> Made:
    rows = [
        {
            "epoch": e,
            "step": e,
            "train_loss": 1 / e + rng.normal(0, 0.01),
            "test_accuracy": 0.88 - 0.2 / e,
        }
        for e in range(1, epochs + 1)
    ]
    return Made(rows, rows[-1])


SEEDS = {"seed": [0, 1, 2]}
GRIDS: dict[str, tuple[str, Callable[..., Made], dict[str, Any], dict[str, list[Any]]]] = {
    "unroll_depth": ("gan", gan, {"data.name": "fashion_mnist", "optim.lr": 2e-4},
                     {"gan.unroll_steps": [0, 1, 5, 10], **SEEDS}),
    "unroll_learning_rates": ("gan", gan, {"data.name": "fashion_mnist", "optim.lr": 1e-3},
                              {"optim.lr_discriminator": [1e-3, 1e-4, 1e-4 / 3],
                               "gan.unroll_steps": [0, 5], **SEEDS}),
    "ring_learning_rates": ("ring", ring, {"optim.lr": 1e-3},
                            {"optim.lr_discriminator": [1e-3, 1e-4],
                             "gan.unroll_steps": [0, 5], **SEEDS}),
    "batch_norm": ("cnn", cnn, {"data.name": "cifar10", "optim.lr": 1e-3},
                   {"model.batch_norm": [False, True], **SEEDS}),
    "learning_rate": ("cnn", cnn, {"data.name": "cifar10"},
                      {"optim.lr": [float(f"1e-{k}") for k in (5, 4, 3, 2, 1)],
                       "model.batch_norm": [False, True], **SEEDS}),
    "ring_unroll": ("ring", ring, {}, {"gan.unroll_steps": [0, 1, 5, 10], **SEEDS}),
    "softmax_shift": ("softmax", softmax, {"seed": 0},
                      {"softmax.offset": [0.0, 1.0, 10.0, 100.0, 1e4, 1e6],
                       "softmax.dtype": ["float16", "bfloat16", "float32", "float64"]}),
    "classifier": ("classifier", classifier, {"data.name": "synthetic"}, SEEDS),
}  # fmt: skip


@dataclass
class FakeSweep:
    """A sweep on disk, and the means to change it afterwards."""

    outputs: Outputs
    folder: SweepFolder
    ids: list[str]

    def run(self, index: int) -> RunFolder:
        return self.outputs.run(self.ids[index])


def write_run(run: RunFolder, experiment: str, config: dict[str, Any], made: Made | None) -> None:
    """Leave a run's folder as a worker would; without measurements it stays queued."""
    run.create(experiment, config)
    if made is None:
        run.set_status(Status(state=State.QUEUED))
        return
    for row in made.rows:
        run.add_metrics(row)
        cost = 2.0 * (1 + config.get("gan.unroll_steps", 0) / 2)
        spent = {"seconds": 3.0 * row["epoch"], "train_seconds": cost * row["step"] / 1000}
        run.add_timing({"epoch": row["epoch"], "step": row["step"], "step_ms": cost, **spent})
    for name, kept in made.arrays.items():
        for epoch, array in kept.items():
            run.add_array(name, epoch, array)
    run.set_provenance({"commit": "0123abc", "device": "CPU", "data_source": "a test's own data"})
    if made.state.done:
        write_result(run, made)
    run.set_status(Status(state=made.state, reason=made.reason, epoch=len(made.rows), epochs=10))


def write_result(run: RunFolder, made: Made) -> None:
    metrics = {name: value for name, value in made.final.items() if name not in ("epoch", "step")}
    result = {"metrics": metrics, "seconds": 36.0, "device": "CPU", "devices": 1}
    more = {"state": made.state, "reason": made.reason, "class_names": list(CLASSES)}
    run.set_result({**result, **more, "data_source": "a test's own data"})


def build(
    root: Path, name: str, grid: dict[str, list[Any]] | None = None, report: list[str] | None = None
) -> FakeSweep:
    """Write a whole sweep of one of GRIDS, its grid replaced in part by `grid`."""
    experiment, measure, fixed, axes = GRIDS[name]
    axes = {**axes, **(grid or {})}
    outputs = Outputs(root)
    ids, points = [], []
    for index, values in enumerate(product(*axes.values())):
        swept = dict(zip(axes, values, strict=True))
        config = {"train.epochs": 10, "train.batch_size": 128, **fixed, **swept}
        ids.append(f"{index:012x}")
        made = measure(config, np.random.default_rng(index))
        write_run(outputs.run(ids[-1]), experiment, config, made)
        points.append({"run": ids[-1], **swept})
    record = {"name": name, "path": f"sweeps/{name}.yaml", "experiment": experiment}
    record.update(swept=list(axes), report=report or [], runs=ids)
    outputs.sweep(name).save(record, points)
    return FakeSweep(outputs, outputs.sweep(name), ids)


Build = Callable[..., FakeSweep]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Build]:
    """Build a sweep below this test's own folder."""
    yield lambda name, **options: build(tmp_path, name, **options)


@pytest.fixture(scope="session")
def build_sweep() -> Build:
    """Build a sweep below any folder, for what several tests share."""
    return build

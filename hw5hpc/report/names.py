"""Settings, axes and data sets in words."""

from collections.abc import Sequence
from typing import Any

from hw5hpc.data.sets import DATA_SETS
from hw5hpc.report.tables import Setting, Tables

# A longer name of a class would leave no room for what it names, in letters.
LONGEST = 20

LABELS: dict[str, str] = {
    "epoch": "epoch",
    "step": "training step",
    "train_seconds": "training time (s)",
    "steps_to_cover": "steps until all stay covered",
    "seed": "seed",
    "generator_loss": "generator loss (nats)",
    "discriminator_loss": "discriminator loss (nats)",
    "train_loss": "training loss (nats)",
    "test_loss": "test loss (nats)",
    "train_accuracy": "training accuracy (share)",
    "test_accuracy": "test accuracy (share)",
    "classes_covered": "classes covered (count)",
    "entropy": "label entropy (nats)",
    "total_variation": "total variation from uniform (0 to 1)",
    "kl_uniform": "KL from uniform (nats)",
    "step_ms": "time of a step (ms)",
    "classifier_accuracy": "classifier's test accuracy (share)",
    "frechet_distance": "Fréchet distance (squared)",
    "precision": "precision (share of samples)",
    "recall": "recall (share of real images)",
    "density": "density (real images: near 1)",
    "coverage": "coverage (share of real images)",
    "diversity": "diversity within a class (relative)",
    "near_duplicates": "near-duplicates (share of samples)",
    "modes_covered": "modes covered (count)",
    "high_quality_share": "high-quality samples (share)",
    "kl_modes": "KL over modes (nats)",
    "naive_error": "largest absolute error, naive",
    "shifted_error": "largest absolute error, shifted",
    "naive_stored_error": "largest error on the stored inputs, naive",
    "shifted_stored_error": "largest error on the stored inputs, shifted",
    "naive_nan": "NaN outputs, naive (count)",
    "shifted_nan": "NaN outputs, shifted (count)",
    "naive_inf": "infinite outputs, naive (count)",
    "shifted_inf": "infinite outputs, shifted (count)",
    "share": "share of samples",
    "gan.unroll_steps": "unrolled discriminator steps",
    "model.batch_norm": "batch norm",
    "model.batch_norm_momentum": "batch norm's momentum",
    "model.batch_norm_eps": "batch norm's epsilon",
    "optim.lr": "learning rate",
    "optim.lr_discriminator": "discriminator's learning rate",
    "optim.eps": "Adam's epsilon",
    "softmax.offset": "offset added to every input",
    "softmax.dtype": "number format",
}

DATA_TITLES = {name: images.title for name, images in DATA_SETS.items()}


def label(key: str) -> str:
    """Return an axis label with its unit; an unlisted key stands for itself."""
    return LABELS.get(key, key)


def value_name(key: str, value: Any) -> str:
    """Return one setting's value in words."""
    if key == "gan.unroll_steps":
        return f"{value} unrolled step{'' if value == 1 else 's'}"
    if key == "model.batch_norm":
        return "with batch norm" if value else "without batch norm"
    if key == "model.batch_norm_placement":
        return f"batch norm {str(value).replace('_relu', ' ReLU')}"
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return f"{label(key)} {text}"


def classes(tables: Tables, count: int) -> list[str]:
    """Return what stands beside each of `count` classes: its name, cut to LONGEST, or its index."""
    if len(tables.class_names) != count:
        return [str(index) for index in range(count)]
    return [name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
            for name in tables.class_names]  # fmt: skip


def setting_name(tables: Tables, setting: Setting) -> str:
    """Return a setting in words."""
    pairs = zip(tables.settings, setting, strict=True)
    return ", ".join(value_name(key, value) for key, value in pairs) or "all runs"


def seeds(lowest: int, highest: int) -> str:
    """Return how many seeds stand behind a mean; a single one is called so."""
    if highest == 0:
        return "no values"
    if lowest != highest:
        return f"n = {lowest} to {highest} seeds"
    return "single seed" if highest == 1 else f"n = {highest} seeds"


def described(tables: Tables, setting: Setting, counts: Sequence[int]) -> str:
    """Return the setting in words, its n, and its diverged runs."""
    words = seeds(min(counts, default=0), max(counts, default=0))
    diverged = tables.count(setting, "diverged")
    lost = f", {diverged} diverged (×)" if diverged else ""
    return f"{setting_name(tables, setting)} ({words}{lost})"

"""The table of figures; matplotlib is imported only when one is drawn."""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hw5hpc.errors import UserError, unknown
from hw5hpc.report import rc

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hw5hpc.report.tables import Tables


class NothingToDraw(Exception):
    """The tables lack what a figure needs; the message says what."""


@dataclass(frozen=True)
class FigureEntry:
    """A figure: its title, what a reader sees in it, its module, and what it needs.

    `needs` names columns of the tables and arrays of the runs; of a figure with a panel for each
    column they are the panels. `shows` names the claims (`report.claims`) that it lets a reader
    check by eye. `columns` is how many panels stand side by side on a phone; 0 keeps all of a row,
    None the whole figure as it is.
    """

    title: str
    caption: str
    module: str
    needs: tuple[str, ...]
    shows: tuple[str, ...] = ()
    columns: int | None = 1

    def draw(self, tables: "Tables") -> "Figure":
        """Draw it.

        Raises:
            NothingToDraw: the columns or arrays that it needs are absent.
        """
        for name in self.needs:
            if not tables.has(name):
                raise NothingToDraw(f"no run has recorded {name!r} yet")
        with rc.defaults():
            figure: Figure = importlib.import_module(f"{__name__}.{self.module}").draw(tables, self)
        return figure


_BAND = (
    "Lines are means over seeds, bands their 95 % t-intervals; "
    "below three seeds the seeds themselves are points."
)
_ENDS = "Dotted lines are real images and uniform noise under the same classifier."

_SEEDS = "Faint points are single seeds; ×n stands for n of them in one place."

FIGURES: dict[str, FigureEntry] = {
    "final_samples": FigureEntry(
        "Samples after the last epoch",
        "Each picture holds 64 samples of the lowest seed; below it, how many of the classes all "
        "samples cover. Repeated pictures are a collapsed generator.",
        "final_samples",
        ("samples", "classes_covered"),
        shows=("collapse", "more classes"),
        columns=2,
    ),
    "losses": FigureEntry(
        "Losses along training",
        f"Losses that settle far apart show which network wins. {_BAND}",
        "along",
        ("discriminator_loss", "generator_loss"),
    ),
    "samples": FigureEntry(
        "Samples at three stages",
        "Rows are settings, columns epochs; one fixed noise, the lowest seed. Look for pictures "
        "that repeat, and for whether they still change.",
        "samples",
        ("samples", "classes_covered"),
        columns=0,
    ),
    "mode_histogram": FigureEntry(
        "Predicted labels of the samples",
        "Share of each class among the samples, as the classifier labels them: mean over seeds "
        "and 95 % t-interval, beside the real test images under the same classifier. Bars of one "
        "height are full coverage, one tall bar is collapse.",
        "mode_histogram",
        ("label_histogram",),
        shows=("lower total variation",),
    ),
    "mode_coverage": FigureEntry(
        "Coverage of the classes after the last epoch",
        "At the line of real images all classes are covered evenly. Means with 95 % t-intervals. "
        f"{_SEEDS} {_ENDS}",
        "after_last_epoch",
        ("classes_covered", "entropy", "total_variation"),
        shows=("collapse", "more classes", "lower total variation"),
    ),
    "fidelity": FigureEntry(
        "Fidelity of the samples after the last epoch",
        "How close the samples come to real test images, by measures that a classifier's labels "
        f"alone cannot fool: means with 95 % t-intervals. {_SEEDS} {_ENDS}",
        "after_last_epoch",
        (
            "frechet_distance",
            "precision",
            "recall",
            "density",
            "coverage",
            "diversity",
            "near_duplicates",
        ),
        columns=2,
    ),
    "coverage_curves": FigureEntry(
        "Coverage of the classes along training",
        f"Coverage that falls again is a collapse during training. {_BAND} Against training "
        "seconds, each run's last look counts.",
        "coverage_curves",
        ("classes_covered", "total_variation"),
    ),
    "rate_ratio": FigureEntry(
        "Coverage at the end against the ratio of the learning rates",
        "Where the lines part, unrolling matters. Points are seeds, lines their means: one line a "
        "depth, against the generator's learning rate over the discriminator's.",
        "rate_ratio",
        ("optim.lr", "optim.lr_discriminator"),
    ),
    "step_cost": FigureEntry(
        "Cost of a training step",
        "Twice as high is twice the time for the same steps. Median over each run's epochs; means "
        f"with 95 % t-intervals. {_SEEDS}",
        "step_cost",
        ("step_ms",),
    ),
    "data_examples": FigureEntry(
        "The data set",
        "What the network learns to tell apart: eight images of each class.",
        "data_examples",
        ("examples",),
        columns=0,
    ),
    "training_loss": FigureEntry(
        "Training loss along training",
        f"A lower line fits the training images better. {_BAND}",
        "along",
        ("train_loss",),
        shows=("larger training loss",),
    ),
    "test_accuracy": FigureEntry(
        "Test accuracy along training",
        f"Bands that do not touch are settings that differ. {_BAND}",
        "along",
        ("test_accuracy",),
        shows=("higher test accuracy",),
    ),
    "accuracy_vs_lr": FigureEntry(
        "Final test accuracy against learning rate",
        "The peak is the best learning rate; the wider it is, the less the choice matters. Means "
        "over seeds with 95 % t-intervals; crosses at chance level are diverged runs.",
        "accuracy_vs_lr",
        ("optim.lr", "test_accuracy"),
    ),
    "filters": FigureEntry(
        "Filters of the first layer",
        "Each filter is stretched to the full contrast on its own; the lowest seed. Filters with "
        "edges and colours have learnt, noise has not.",
        "filters",
        ("filters",),
    ),
    "confusion": FigureEntry(
        "Confusion matrix after the last epoch",
        "Percent of each true class, mean over seeds; off the diagonal are the mistakes.",
        "confusion",
        ("confusion",),
    ),
    "original_comparison": FigureEntry(
        "The original study's figures beside these",
        "Where the original's number lies outside of our interval, the two differ. The original is "
        "one run; ours are means with 95 % t-intervals.",
        "original_comparison",
        ("model.batch_norm", "train_loss", "test_accuracy"),
        columns=None,
    ),
    "softmax_error": FigureEntry(
        "Softmax error against offset",
        "A line that stays low is a softmax that the offset does not change. Largest absolute "
        "error against a high-precision reference; crosses at the top are runs with NaN or "
        "infinite outputs.",
        "softmax_error",
        ("softmax.offset", "softmax.dtype", "naive_error", "shifted_error"),
        shows=("overflow",),
    ),
    "ring_density": FigureEntry(
        "Samples on the ring of Gaussians",
        "Density of the samples, rows are settings, columns training steps; the lowest seed. One "
        "spot that wanders is collapse, a whole ring of spots is full coverage.",
        "ring_density",
        ("samples", "modes_covered"),
        shows=("modes",),
        columns=0,
    ),
    "ring_modes": FigureEntry(
        "Modes covered against step",
        f"All modes covered, with most samples of high quality and a KL near zero, is no collapse. "
        f"{_BAND}",
        "ring_modes",
        ("modes_covered", "high_quality_share", "kl_modes"),
        shows=("modes",),
    ),
}

# The picture that a report opens with: the first of these that could be drawn.
KEY = (
    "final_samples",
    "ring_density",
    "softmax_error",
    "accuracy_vs_lr",
    "mode_coverage",
    "test_accuracy",
    "ring_modes",
    "losses",
)


def drawable(tables: "Tables") -> list[str]:
    """Return the figures of which the tables have all that they need."""
    return [name for name, entry in FIGURES.items() if all(map(tables.has, entry.needs))]


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse a `report:` list that asks for what there is not.

    Raises:
        UserError: an unknown figure.
    """
    for name in names:
        if name not in FIGURES:
            raise UserError(f"{where}: block 'report': {unknown('figure', name, FIGURES)}")

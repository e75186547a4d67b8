"""The table of figures; matplotlib is imported only when one is drawn."""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hw5hpc.errors import UserError, unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hw5hpc.report.tables import Tables


class NothingToDraw(Exception):
    """The tables lack what a figure needs; the message says what."""


@dataclass(frozen=True)
class FigureEntry:
    """A figure: its title, what a reader sees in it, its module, the experiments it serves."""

    title: str
    caption: str
    module: str
    experiments: tuple[str, ...]

    def draw(self, tables: "Tables") -> "Figure":
        """Draw it.

        Raises:
            NothingToDraw: the columns or arrays that it needs are absent.
        """
        figure: Figure = importlib.import_module(f"{__name__}.{self.module}").draw(tables)
        return figure


_BAND = (
    "Lines are means over seeds, bands their 95 % t-intervals; "
    "below three seeds the seeds themselves are points."
)
_ENDS = (
    "Dotted lines are the ends of the scale under the same classifier: real images and uniform "
    "noise."
)

FIGURES: dict[str, FigureEntry] = {
    "losses": FigureEntry(
        "Losses along training", _BAND, "losses", ("gan", "classifier", "cnn", "ring")
    ),
    "samples": FigureEntry(
        "Samples at three stages",
        "Rows are settings, columns epochs; one fixed noise, the lowest seed.",
        "samples",
        ("gan",),
    ),
    "mode_histogram": FigureEntry(
        "Predicted labels of the samples",
        "Share of each class among the samples, as the classifier labels them: mean over seeds "
        "and 95 % t-interval, beside the real test images under the same classifier.",
        "mode_histogram",
        ("gan",),
    ),
    "mode_coverage": FigureEntry(
        "Coverage of the classes after the last epoch",
        "Means over seeds with 95 % t-intervals; faint points are single seeds. " + _ENDS,
        "mode_coverage",
        ("gan",),
    ),
    "fidelity": FigureEntry(
        "Fidelity of the samples after the last epoch",
        "How close the samples come to real test images, by measures that a classifier's labels "
        "alone cannot fool: means over seeds with 95 % t-intervals; faint points are single "
        "seeds. " + _ENDS,
        "fidelity",
        ("gan",),
    ),
    "coverage_curves": FigureEntry(
        "Coverage of the classes along training",
        f"{_BAND} Against training seconds, each run's last look counts.",
        "coverage_curves",
        ("gan",),
    ),
    "rate_ratio": FigureEntry(
        "Coverage at the end against the ratio of the learning rates",
        "Points are seeds, lines their means: one line a depth, against the generator's learning "
        "rate over the discriminator's.",
        "rate_ratio",
        ("gan", "ring"),
    ),
    "step_cost": FigureEntry(
        "Cost of a training step",
        "Median over each run's epochs; mean over seeds with 95 % t-interval, faint points are "
        "single runs.",
        "step_cost",
        ("gan", "ring", "cnn", "classifier"),
    ),
    "data_examples": FigureEntry(
        "The data set", "Eight images of each class.", "data_examples", ("cnn",)
    ),
    "training_loss": FigureEntry(
        "Training loss along training", _BAND, "training_loss", ("cnn", "classifier")
    ),
    "test_accuracy": FigureEntry(
        "Test accuracy along training", _BAND, "test_accuracy", ("cnn", "classifier")
    ),
    "accuracy_vs_lr": FigureEntry(
        "Final test accuracy against learning rate",
        "Means over seeds with 95 % t-intervals; crosses at chance level are diverged runs.",
        "accuracy_vs_lr",
        ("cnn",),
    ),
    "filters": FigureEntry(
        "Filters of the first layer",
        "Each filter is stretched to the full contrast on its own; the lowest seed.",
        "filters",
        ("cnn",),
    ),
    "confusion": FigureEntry(
        "Confusion matrix after the last epoch",
        "Percent of each true class, mean over seeds.",
        "confusion",
        ("cnn",),
    ),
    "original_comparison": FigureEntry(
        "The original study's figures beside these",
        "The original is one run; ours are means with 95 % t-intervals.",
        "original_comparison",
        ("cnn",),
    ),
    "softmax_error": FigureEntry(
        "Softmax error against offset",
        "Largest absolute error against a high-precision reference; crosses at the top are runs "
        "with NaN or infinite outputs.",
        "softmax_error",
        ("softmax",),
    ),
    "ring_density": FigureEntry(
        "Samples on the ring of Gaussians",
        "Density of the samples, rows are settings, columns training steps; the lowest seed.",
        "ring_density",
        ("ring",),
    ),
    "ring_modes": FigureEntry("Modes covered against step", _BAND, "ring_modes", ("ring",)),
}


def names_for(experiment: str) -> list[str]:
    """Return the figures that serve an experiment."""
    return [name for name, entry in FIGURES.items() if experiment in entry.experiments]


def check_names(names: Iterable[str], experiment: str, where: str) -> None:
    """Refuse a `report:` list that asks for what cannot be drawn.

    Raises:
        UserError: an unknown figure, or one that does not serve the experiment.
    """
    for name in names:
        if name not in FIGURES:
            raise UserError(f"{where}: block 'report': {unknown('figure', name, FIGURES)}")
        if experiment not in FIGURES[name].experiments:
            allowed = ", ".join(names_for(experiment)) or "none"
            raise UserError(
                f"{where}: block 'report': figure {name!r} is not made for experiment "
                f"{experiment!r}; choose from: {allowed}"
            )

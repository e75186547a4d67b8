"""Set the original study's figures beside these as a table."""

from matplotlib.figure import Figure

from hw5hpc.report import drawing, looks, names, statistics, style
from hw5hpc.report.claims.original import ACCURACY, EPOCHS, LOSSES
from hw5hpc.report.figures import FigureEntry, NothingToDraw
from hw5hpc.report.tables import Tables

KEY = "model.batch_norm"


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw the table; see FigureEntry.draw."""
    data = tables.constant("data.name")
    if data != "cifar10":
        raise NothingToDraw(f"the original used cifar10, these runs {data}")
    if tables.settings != [KEY]:
        raise NothingToDraw(f"the sweep does not vary {KEY} alone")
    drawing.need(tables.curves, ["test_accuracy", "train_loss"])
    rows = [_accuracy(tables, batch_norm) for batch_norm in (False, True)]
    rows += [_loss(tables, epoch, original) for epoch, original in LOSSES.items()]
    header = ["", "original\n(1 run)", "ours, without\nbatch norm", "ours, with\nbatch norm"]
    figure, axes = style.grid(1, 1, 9.5, 2.4)
    axes[0, 0].set_axis_off()
    table = axes[0, 0].table(rows, colLabels=header, cellLoc="center", bbox=(0, 0, 1, 1),
                             colWidths=[0.34, 0.14, 0.26, 0.26])  # fmt: skip
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor(style.GREY)
        cell.set_facecolor((0.5, 0.5, 0.5, 0.15) if row == 0 or column == 0 else "none")
    return style.finish(figure, tables, entry.title)


def _accuracy(tables: Tables, batch_norm: bool) -> list[str]:
    words = "with" if batch_norm else "without"
    ours = ["—", "—"]
    ours[int(batch_norm)] = _ours(tables, batch_norm, "test_accuracy", EPOCHS)
    name = f"test accuracy after epoch {EPOCHS},\n{words} batch norm"
    return [name, f"{ACCURACY[batch_norm]:.4f}", *ours]


def _loss(tables: Tables, epoch: int, original: float) -> list[str]:
    ours = [_ours(tables, batch_norm, "train_loss", epoch) for batch_norm in (False, True)]
    return [f"training loss in epoch {epoch} (nats)", f"{original:.4f}", *ours]


def _ours(tables: Tables, batch_norm: bool, column: str, epoch: int) -> str:
    rows = tables.rows(tables.curves, (batch_norm,))
    found = statistics.estimate(looks.after_epoch(rows, epoch)[column])
    if found.n == 0:
        return "not reached"
    spread = f" ± {found.half:.4f}" if found.has_interval else ""
    return f"{found.mean:.4f}{spread}\n({names.seeds(found.n, found.n)})"

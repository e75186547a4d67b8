"""Follow a sweep until all of it has ended: a board on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live

from hw5hpc.cluster.asking import jobs_if_any, unasked
from hw5hpc.cluster.standings import BAD, WAITING, Ended, Standing, asked, standings
from hw5hpc.cluster.view import board, reasons, summary
from hw5hpc.console import say
from hw5hpc.errors import Stopped
from hw5hpc.node.standing import GOING
from hw5hpc.store import Outputs, State, SweepFolder
from hw5hpc.text import safe

# Looking may take this part of the time, so that a large sweep does not keep a login node busy.
SHARE = 0.04


def look(
    outputs: Outputs, sweep: SweepFolder, cluster: str | None, only_bad: bool, watch: bool
) -> list[Standing]:
    """Return the rows as they are now, or `watch` them until every point has ended.

    The Slurm of the profile `cluster` (None: the one that sent the sweep) is asked, where it can
    be. `only_bad` leaves failed, lost and diverged points.
    """
    jobs, ended, calm = jobs_if_any(cluster, sweep), Ended(), list[bool]()

    def turn() -> Turn:
        rows = (
            asked(outputs, sweep, jobs, ended) if jobs else standings(outputs, sweep, ended=ended)
        )
        calm.append(not any(row.status.state in (State.QUEUED, State.RUNNING) for row in rows))
        # Between two runs of one process, for a moment none of them is at work.
        over = all(calm[-2:]) and (len(calm) > 1 or not _waits(rows))
        bad = [row for row in rows if not only_bad or row.status.state in BAD]
        return Turn(bad, over, jobs.trouble if jobs else "")

    try:
        rows = follow(turn) if watch else turn().rows
    except KeyboardInterrupt:
        raise goes_on("stopped watching", sweep.name) from None
    blind = jobs is None and sweep.submissions() and any(row.status.state in GOING for row in rows)
    if blind and (note := unasked(cluster, sweep)):
        say(note, sys.stderr)
    return rows


def _waits(rows: Sequence[Standing]) -> bool:
    return any(row.status.state in WAITING for row in rows)


def unfinished(rows: Sequence[Standing], most: int = 5) -> list[str]:
    """Return a line for each run that is not done, with its log, and how many more there are."""
    bad = [row for row in rows if not row.status.state.done]
    lines = [
        f"  {row.run} {row.status.state}: {row.status.reason}"
        + (f" (log: {row.log})" if row.log else "")
        for row in bad[:most]
    ]
    return lines + ([f"  and {len(bad) - most} more"] if len(bad) > most else [])


@dataclass(frozen=True)
class Turn:
    """What one look gave: the rows, whether it was the last, and what is wrong with Slurm."""

    rows: list[Standing]
    over: bool
    trouble: str = ""


def follow(look: Callable[[], Turn], seconds: float = 2.0) -> list[Standing]:
    """Show the rows until it is over; without a terminal, print lines whenever they change.

    Looks are at least so many seconds apart, and more where one takes long.
    """
    console = Console()
    last: list[str] = []
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while True:
            begin = time.thread_time()
            turn = look()
            lines = [summary(turn.rows), *reasons(turn.rows)]
            if turn.trouble:
                lines.append(f"  Slurm does not answer; asked again ({safe(turn.trouble)})")
            if console.is_terminal:
                live.update(board(turn.rows, "\n".join(lines), console.width), refresh=True)
            elif lines != last:
                text = "\n".join(map(safe, lines))
                print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
            last = lines
            if turn.over:
                return turn.rows
            time.sleep(max(seconds, (time.thread_time() - begin) / SHARE))


def goes_on(what: str, words: str) -> Stopped:
    """Return the Ctrl-C that ends a showing alone; `words` name the sweep for a command."""
    return Stopped(f"{what}; the jobs go on (python jobs/cancel.py {words} ends them)")

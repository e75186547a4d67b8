"""Send a run's files to W&B as one history: what is new, and nothing twice."""

import shutil
from dataclasses import dataclass

import wandb

from hw5hpc.store import RunFolder, State, SweepFolder, holder
from hw5hpc.tracking import memory
from hw5hpc.tracking.describe import card
from hw5hpc.tracking.history import History, read
from hw5hpc.tracking.memory import Memory
from hw5hpc.tracking.session import Place, Session, arrived
from hw5hpc.tracking.words import Words

GOING = (
    State.NEW, State.QUEUED, State.RUNNING, State.INTERRUPTED, State.LOST, State.CANCELLED
)  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """What became of one run: rows sent now, and what could not be sent, in words.

    `away` means that W&B itself did not answer.
    """

    run: str
    rows: int = 0
    problem: str = ""
    note: str = ""
    url: str = ""
    away: bool = False


def send(run: RunFolder, sweep: SweepFolder, words: Words, where: Place) -> Sent:
    """Send what W&B does not have of a run; its files are only read, but for wandb.json."""
    if not run.config_path.exists():
        return Sent(run.id, problem="it has no files yet")
    try:
        with memory.held(run.path) as mine:
            if not mine:
                return Sent(run.id, note="is being sent by another process")
            return _send(run, sweep, words, where)
    except Exception as error:
        # One run must not cost the others, whatever W&B raises or its own files hold.
        away = isinstance(error, wandb.Error | TimeoutError | ConnectionError)
        return Sent(run.id, problem=one_line(error), away=away)


def _send(run: RunFolder, sweep: SweepFolder, words: Words, where: Place) -> Sent:
    found = read(run)
    past = memory.load(run.path, run.id, str(where))
    if past.opened_by == "job" and holder(run) is not None:
        # Where locks do not reach from one machine to the other, the claim tells.
        return Sent(run.id, note="is being sent by its own job", url=past.url)
    if past.settled(found) or not (found.rows or past.step >= 0):
        return Sent(run.id, note=_unsent(found), url=past.url)
    note = _unsent(found)
    if not past.agrees(found):
        note = f"its rows are not those sent as {past.id}, so it is a new W&B run"
        past = past.anew()
    memory.save(run.path, past.opened("sync"))
    goes_on = found.state in GOING
    with Session(past.id, card(run, sweep, words), where, goes_on=goes_on) as session:
        count = transfer(session, run, found, past)
        url, sent_as, last = session.url, session.path, session.step
        session.close(found.state)
    if not arrived(sent_as, last):
        return Sent(run.id, count, "W&B has not confirmed it yet; the next call looks again", note)
    memory.save(run.path, past.sent(found, last, url))
    return Sent(run.id, count, note=note, url=url)


def transfer(session: Session, run: RunFolder, found: History, past: Memory) -> int:
    """Log the rows that W&B lacks, and at the end of the run its final figures."""
    session.axes()
    fresh = any(row.step > session.step for row in found.rows)
    arrays = run.arrays() if fresh or past.opened_by else {}
    if past.opened_by:
        session.upload_again(found.rows, past.step, arrays)
    count = session.log(found.rows, arrays)
    if found.state not in GOING:
        session.update({**found.final, "state": str(found.state), "reason": found.reason})
    return count


def _unsent(found: History) -> str:
    if not found.waiting:
        return ""
    return f"{found.waiting} row waits for what belongs to it (timing, pictures)"


def export(run: RunFolder, sweep: SweepFolder, words: Words, where: Place) -> Sent:
    """Write a run as one offline run of W&B, in its own folder, in place of an earlier one."""
    try:
        found = read(run)
        past = memory.load(run.path, run.id, str(where))
        if not found.rows:
            return Sent(run.id, problem="it has no rows yet")
        if not (run.path / memory.FILE).exists():
            # The same id, whichever way it is sent.
            memory.save(run.path, past)
        shutil.rmtree(run.path / "wandb", ignore_errors=True)
        with Session(past.id, card(run, sweep, words), where, folder=run.path) as session:
            count = transfer(session, run, found, Memory(past.id))
            session.close(found.state)
    except Exception as error:
        return Sent(run.id, problem=one_line(error))
    return Sent(run.id, note=f"{count} rows written to {run.path / 'wandb'}")


def one_line(error: Exception) -> str:
    """Return an error in one line without its type where it has words of its own."""
    text = " ".join(str(error).split())[:300]
    return text or type(error).__name__

"""Mirror a run while it trains, where W&B is online; elsewhere no process of W&B is started."""

import contextlib
import logging
import time
from collections.abc import Iterator

from hw5hpc.errors import UserError
from hw5hpc.store import RunFolder, StoreError, SweepFolder
from hw5hpc.tracking import memory
from hw5hpc.tracking.describe import card, sweep_of, words_of
from hw5hpc.tracking.history import read
from hw5hpc.tracking.memory import Memory
from hw5hpc.tracking.mirror import one_line, transfer
from hw5hpc.tracking.mode import choose
from hw5hpc.tracking.session import Place, Session, arrived, place
from hw5hpc.tracking.words import Words

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
# Shorter than a job's warning before its time limit: what is not sent by then stays behind.
FINISH_SECONDS = 20.0
CONFIRM_SECONDS = 5.0


class Tracker:
    """One run's mirror on its node; whatever it misses, jobs/sync.py sends from the run's files."""

    def __init__(self, run: RunFolder, sweep: str) -> None:
        self._session: Session | None = None
        self._run, self._sizes, self._looked = run, (-1, -1), 0.0
        self._open = contextlib.ExitStack()
        with self._shielded("init"):
            words = _words(sweep_of(run, sweep))
            choice = choose(words)
            log.info("W&B is %s", choice)
            if choice.mode == "online":
                self._start(sweep_of(run, sweep), words)

    def _start(self, sweep: SweepFolder, words: Words) -> None:
        if not self._open.enter_context(memory.held(self._run.path)):
            log.info("W&B: run %s is being sent by another process", self._run.id)
            return
        where = place(words)
        self._past = memory.load(self._run.path, self._run.id, str(where))
        memory.save(self._run.path, self._past.opened("job"))
        self._session = self._connect(self._past, sweep, words, where)

    def _connect(self, past: Memory, sweep: SweepFolder, words: Words, where: Place) -> Session:
        described = card(self._run, sweep, words)
        return Session(past.id, described, where, live=True, finish_seconds=FINISH_SECONDS)

    def update(self) -> None:
        """Send the rows that are new; called as often as one likes, it looks now and then."""
        if self._session is None or time.monotonic() - self._looked < EVERY_SECONDS:
            return
        with self._shielded("log"):
            self._looked = time.monotonic()
            if (sizes := _sizes(self._run)) != self._sizes:
                self._sizes = sizes
                self._send(self._session)

    def _send(self, session: Session) -> None:
        found = read(self._run)
        if not self._past.agrees(found):
            raise UserError("the rows are not those sent before; jobs/sync.py makes a new W&B run")
        transfer(session, self._run, found, self._past)

    def finish(self) -> None:
        """End this turn's mirror as the run's files tell its state; a second call does nothing."""
        session = self._session
        if session is None:
            self._open.close()
            return
        with self._shielded("finish"):
            self._send(session)
            found = read(self._run)
            url, path, last = session.url, session.path, session.step
            session.close(found.state)
            if arrived(path, last, CONFIRM_SECONDS):
                memory.save(self._run.path, self._past.sent(found, last, url))
        self._session = None
        self._open.close()

    @contextlib.contextmanager
    def _shielded(self, what: str) -> Iterator[None]:
        """Report a failure of the mirror and go on: the local files are the truth."""
        try:
            yield
        except Exception as error:
            log.warning(
                "W&B %s failed, the run goes on without it (jobs/sync.py sends the rest): %s",
                what, one_line(error),
            )  # fmt: skip
            self._abandon()

    def _abandon(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.__exit__()
        self._open.close()


def _words(sweep: SweepFolder) -> Words:
    try:
        return words_of(sweep)
    except StoreError:
        return Words()


def _sizes(run: RunFolder) -> tuple[int, int]:
    """How long the files are that grow while a run trains."""
    timing = run.timing_path
    return run.metrics_size(), timing.stat().st_size if timing.exists() else 0

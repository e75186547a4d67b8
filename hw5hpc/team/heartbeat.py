"""The heartbeat of a rank: the others see that it lives, and it sees at once when one has died.

Each rank shows every second that it lives, through the store that brought them together. The
first error of any rank is everybody's verdict, so that a log shows it and not the broken
connection that follows from it. A rank that is stuck while another is dead ends itself.
"""

import contextlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable

from torch.distributed.distributed_c10d import Store

from hw5hpc.team.rendezvous import Member

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
# A collective that broke says that somebody died; without one only a long silence does.
SILENT_AFTER_ERROR, SILENT = 6.0, 30.0
GRACE_SECONDS = 15.0
SYMPTOM = re.compile(r"gloo|nccl|connection|socket|broken pipe|timed out|recv|store", re.I)


class Heartbeat(threading.Thread):
    """Shows the others that this rank lives, and looks for their verdict or their silence."""

    def __init__(self, store: Store, members: list[Member], rank: int) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._store, self._members, self._rank = store, members, rank
        self._keys = [f"beat/{member.rank}" for member in members]
        self._heard = {key: (b"", time.monotonic()) for key in self._keys}
        self._over, self._main_thread_knows = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self.on_abort: Callable[[str], object] = lambda verdict: None

    def run(self) -> None:
        number = 0
        while not self._over.wait(BEAT_SECONDS):
            number += 1
            verdict = self._look(SILENT, beat=str(number))
            if verdict and not self._main_thread_knows.wait(GRACE_SECONDS):
                log.error("%s", verdict)
                with contextlib.suppress(Exception):
                    self.on_abort(verdict)
                # The main thread is stuck in a collective that nobody will end. The batch script
                # takes this status for a task that has to go back into the queue.
                os._exit(os.EX_TEMPFAIL)

    def close(self) -> None:
        self._main_thread_knows.set()
        self._over.set()

    def verdict(self, error: Exception, line: str) -> str:
        """Return the error that came first on any rank; `line` describes this rank's `error`."""
        self._main_thread_knows.set()
        own = f"{self._members[self._rank]}: {line}"
        if not (isinstance(error, RuntimeError) and SYMPTOM.search(str(error))):
            return self._agree(own)
        end = time.monotonic() + 2 * SILENT_AFTER_ERROR
        while time.monotonic() < end:
            verdict = self._look(SILENT_AFTER_ERROR)
            if verdict:
                return verdict
            time.sleep(BEAT_SECONDS / 2)
        return self._agree(own)

    def _agree(self, verdict: str) -> str:
        """Return the verdict that was there first: this one, or another rank's."""
        with contextlib.suppress(RuntimeError), self._lock:
            return str(self._store.compare_set("verdict", "", verdict), "utf-8")
        return verdict

    def _look(self, patience: float, beat: str = "") -> str:
        """Return the verdict, '' as long as all live; `beat` is this rank's next sign of life."""
        try:
            with self._lock:
                if beat:
                    self._store.set(self._keys[self._rank], beat)
                if self._store.check(["verdict"]):
                    return str(self._store.get("verdict"), "utf-8")
                values = self._store.multi_get(self._keys)
        except RuntimeError:
            # The first rank's process keeps the store.
            return self._died(0)
        silences = self._silences(values)
        longest = max(silences)
        if longest < patience:
            return ""
        return self._agree(self._died(silences.index(longest)))

    def _silences(self, values: list[bytes]) -> list[float]:
        """Return for each rank the seconds since its last sign of life."""
        now = time.monotonic()
        for key, value in zip(self._keys, values, strict=True):
            if self._heard[key][0] != value:
                self._heard[key] = (value, now)
        silences = [now - self._heard[key][1] for key in self._keys]
        silences[self._rank] = 0.0
        return silences

    def _died(self, rank: int) -> str:
        return f"{self._members[rank]} ended without a word (killed, or out of memory)"

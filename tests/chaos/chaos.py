"""Sweeps under fire: put faults in at random, submit until done, compare with no faults at all.

Needs root (it mounts a small disk) and the development cluster, whose daemons it stops and starts.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import product
from pathlib import Path

from compare import Verdict, compare
from faults import KINDS, Effect, Faults
from ground import ROOT, Ground, cluster, read

SWEEP = """
experiment: {experiment}
config: {{{config}, train.epochs: {epochs}, train.checkpoint_minutes: 0.01}}
grid: {{{axis}, seed: {{range: [0, {seeds}]}}}}
cluster: {{time: "00:20:00", pack: {pack}, abreast: {abreast}, max_parallel: 2}}
report: [{figure}]
"""
RING = "train.batch_size: 32, ring.steps_per_epoch: 5, ring.samples: 200"
CNN = "data.name: synthetic, data.limit: 32, train.batch_size: 16"
SEEN_SECONDS = 60


def sweeps(quick: bool) -> dict[str, str]:
    """Both experiment families: 24 runs, or 8; the CNNs of a task train two at a time."""
    ring = {"epochs": 40, "config": RING, "axis": "gan.unroll_steps: [0, 1]", "abreast": 1}
    cnn = {"epochs": 20, "config": CNN, "axis": "model.batch_norm: [false, true]", "abreast": 2}
    shared = {"seeds": 2, "pack": 2} if quick else {"seeds": 6, "pack": 3}
    return {
        "ring": SWEEP.format(experiment="ring", figure="losses", **ring, **shared),
        "cnn": SWEEP.format(experiment="cnn", figure="training_loss", **cnn, **shared),
    }


class Chaos:
    """One seeded storm over the sweeps of a ground."""

    def __init__(self, ground: Ground, seed: int, rounds: int, seconds: float) -> None:
        self._ground = ground
        self._source = random.Random(seed)
        self._faults = Faults(ground, self._source)
        self._todo = [kind for kind in KINDS for _ in range(rounds)]
        self._source.shuffle(self._todo)
        self._pending: list[tuple[str, Effect, float]] = []
        self._end = time.monotonic() + seconds
        self._submitted = dict.fromkeys(ground.sweeps, 0.0)
        self.seen: Counter[str] = Counter()

    def run(self) -> None:
        """Go on until every fault was seen and every run has its result, or time is up."""
        while time.monotonic() < self._end:
            self._look()
            self._submit()
            if not self._pending and self._done():
                if not self._todo:
                    return
                self._next_lap()
            self._put_one_in()
            time.sleep(self._source.uniform(0.2, 1.0))

    def _done(self) -> bool:
        return not any(self._ground.unfinished(sweep) for sweep in self._ground.sweeps)

    def _next_lap(self) -> None:
        say(f"every run has its result, {len(self._todo)} faults to go: the sweeps once more")
        self._ground.next_lap()
        self._submitted = dict.fromkeys(self._ground.sweeps, 0.0)

    def _put_one_in(self) -> None:
        if not self._todo:
            return
        kind = self._todo.pop(0)
        self._faults.hit = {effect.job for _, effect, _ in self._pending}
        effect = KINDS[kind](self._faults)
        if effect is None:
            self._todo.append(kind)
        else:
            say(f"put in: {kind}")
            self._pending.append((kind, effect, time.monotonic() + SEEN_SECONDS))

    def _look(self) -> None:
        """Count the faults whose effect shows; what never shows is put in once more."""
        waiting = []
        for kind, effect, end in self._pending:
            if effect.seen():
                self.seen[kind] += 1
            elif time.monotonic() < end:
                waiting.append((kind, effect, end))
            else:
                say(f"not seen: {kind}")
                self._todo.append(kind)
        self._pending = waiting

    def _submit(self) -> None:
        """Submit a sweep again when some of its runs have neither a result nor a job."""
        for sweep in self._ground.sweeps:
            if time.monotonic() - self._submitted[sweep] < 5 or not self._orphans(sweep):
                continue
            if self._submitted[sweep]:
                say(f"submit again: {sweep.stem}")
            self._ground.submit(sweep)
            self._submitted[sweep] = time.monotonic()

    def _orphans(self, sweep: Path) -> bool:
        if not self._submitted[sweep]:
            return True
        queued = self._ground.queued()
        jobs = {self._job(run) for run in self._ground.unfinished(sweep)}
        return bool(jobs - queued) or self._failed(sweep)

    def _job(self, run: Path) -> str:
        return str(read(run / "job.json").get("job", ""))

    def _failed(self, sweep: Path) -> bool:
        runs = self._ground.unfinished(sweep)
        return any(read(run / "status.json").get("state") == "failed" for run in runs)


def undisturbed(ground: Ground) -> None:
    """The same sweeps, in this machine's processes and with nothing in their way."""
    words = ["--local", "--out", str(ground.reference)]
    jobs = [ground.start(sweep, *words) for sweep in ground.sweeps]
    for job in jobs:
        said, _ = job.communicate(timeout=1800)
        if job.returncode != 0:
            raise RuntimeError(f"the undisturbed sweep failed:\n{said}")


def report(ground: Ground) -> None:
    for sweep, out in product(ground.sweeps, ground.laps):
        words = [sys.executable, str(ROOT / "jobs/aggregate.py"), str(sweep)]
        subprocess.run([*words, "--out", str(out)], check=True, stdout=subprocess.DEVNULL)


def table(seen: Counter[str], verdict: Verdict) -> str:
    rows = [(f"injected: {kind}", seen[kind]) for kind in KINDS]
    rows += [("faults in all", seen.total()), ("runs", verdict.runs)]
    rows += [("runs lost", len(verdict.lost)), ("runs that differ", len(verdict.differ))]
    rows += [("duplicated rows", verdict.doubled)]
    return "\n".join(f"{name:<32}{count:>5}" for name, count in rows)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides order, victims and pauses")
    parser.add_argument("--rounds", type=int, default=3, help="how often each fault is put in")
    parser.add_argument("--seconds", type=float, default=480, help="give up after this long")
    parser.add_argument("--quick", action="store_true", help="8 runs instead of 24")
    args = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("only root can mount the small disk that is filled")
    # Whoever ends it wants the small disk and the jobs gone, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    cluster("up")
    conf = cluster("env").strip().removeprefix("export SLURM_CONF=")
    os.environ["SLURM_CONF"] = conf
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hw5hpc-chaos-") as folder:
        ground = Ground(Path(folder), sweeps(args.quick))
        with ground:
            undisturbed(ground)
            say(f"undisturbed: {time.monotonic() - began:.0f} s; now with faults, seed {args.seed}")
            chaos = Chaos(ground, args.seed, args.rounds, args.seconds)
            try:
                chaos.run()
            finally:
                cluster("up")
            report(ground)
            verdict = compare(ground.reference, ground.laps)
    for line in (*verdict.lost, *verdict.differ):
        say(f"not as undisturbed: {line}")
    print(table(chaos.seen, verdict))
    say(f"seed {args.seed}, {time.monotonic() - began:.0f} s")
    missing = [kind for kind in KINDS if not chaos.seen[kind]]
    bad = verdict.lost or verdict.differ or verdict.doubled or missing
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

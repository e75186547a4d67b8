"""`make ranks`: the time of a training step against processes and threads, as a Markdown table.

Each way of running trains the same cases, several times and in turn, so that what else the machine
does falls on all alike; the first way is the plain one that the ratios refer to.
"""

import argparse
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

GAN = {"data.name": "synthetic", "data.limit": 4096, "train.batch_size": 128}
CNN = {"data.name": "synthetic", "data.limit": 1024, "train.batch_size": 32}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"GAN, batch 128, K = {k}": ("gan", {**GAN, "gan.unroll_steps": k}) for k in (0, 1, 5, 10)},
    "ring, batch 512, K = 0": ("ring", {"gan.unroll_steps": 0}),
    "ring, batch 512, K = 5": ("ring", {"gan.unroll_steps": 5}),
    "CNN, batch 32": ("cnn", CNN),
    "CNN, batch 32, batch norm": ("cnn", {**CNN, "model.batch_norm": True}),
}
Times = dict[str, list[float]]


@dataclasses.dataclass(frozen=True)
class Way:
    """So many processes of so many threads each, which `spin` while they wait or soon sleep."""

    processes: int
    threads: int
    spin: bool = False

    def __str__(self) -> str:
        words = [f"{self.processes} process{'es' * (self.processes > 1)}"]
        words.append(f"{self.threads} thread{'s' * (self.threads > 1)} each")
        return ", ".join(words + ["spinning"] * self.spin)


def ways(processes: list[int]) -> list[Way]:
    """Return one process of one thread first; without a GPU, one of all cores too."""
    import torch

    found = [Way(1, 1), *(Way(count, 1) for count in processes if count > 1)]
    cores = os.cpu_count() or 1
    if not torch.cuda.is_available() and cores > 1:
        found += [Way(1, cores), Way(1, cores, spin=True)]
    return found


def measure(way: Way, steps: int, only: str) -> Times:
    """Return the milliseconds of each step of each case, in processes of their own."""
    env = {**os.environ, "OMP_NUM_THREADS": str(way.threads)}
    env |= {"OMP_WAIT_POLICY": "ACTIVE"} if way.spin else {}
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(way.processes), "--"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "times.json"
        words = [__file__, "--steps", str(steps), "--only", only, "--worker", str(out)]
        subprocess.run([sys.executable, *launcher, *words], env=env, check=True)
        times: Times = json.loads(out.read_text())
    return times


def work(steps: int, only: str, out: Path) -> None:
    """Be one of the processes: train each case, and let the first one write its times."""
    from hw5hpc.engine.precision import pick_device
    from hw5hpc.team.assembly import torchrun_team

    with torchrun_team() as team:
        device = pick_device(team.ranks.local)
        times = {
            case: time_steps(case, device, team.ranks, steps) for case in CASES if only in case
        }
        if team.ranks.first:
            out.write_text(json.dumps(times))


def time_steps(case: str, device: Any, ranks: Any, steps: int) -> list[float]:
    import torch

    from hw5hpc.engine.random import generator
    from hw5hpc.experiments import EXPERIMENTS, rebuild
    from hw5hpc.models.mlp import Mlp, classifier_widths

    experiment, values = CASES[case]
    classifier = Mlp(classifier_widths(), generator("cpu", 0)).state_dict()
    weights = {"classifier": classifier} if experiment == "gan" else {}
    training = EXPERIMENTS[experiment].load()(rebuild(experiment, values), device, weights, ranks)

    def one(index: int) -> float:
        began = time.perf_counter()
        training.step(1, index % training.steps_per_epoch)
        # As the loop does at each step; it waits for the slowest process.
        ranks.agree(False, False)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return 1000 * (time.perf_counter() - began)

    return [one(index) for index in range(3 + steps)][3:]


def table(found: dict[Way, Times]) -> str:
    """Return the medians in ms, with their ratio to the first way's, as Markdown."""
    plain = next(iter(found.values()))
    lines = ["| | " + " | ".join(map(str, found)) + " |", "|---" * (len(found) + 1) + "|"]
    for case in plain:
        middle = [statistics.median(times[case]) for times in found.values()]
        base = statistics.median(plain[case])
        cells = [f"{value:.1f} ({value / base:.2f})" for value in middle]
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--processes", type=int, nargs="+", default=[1, 2], metavar="N", help="default: 1 2")
    add("--rounds", type=int, default=3, help="how often each way is measured (default: 3)")
    add("--steps", type=int, default=10, help="timed steps of a case and round (default: 10)")
    add("--only", default="", metavar="TEXT", help="only the cases that have this in their name")
    add("--worker", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not any(args.only in case for case in CASES):
        parser.error(f"--only {args.only!r} is in none of: {'; '.join(CASES)}")
    if args.worker:
        work(args.steps, args.only, args.worker)
        return
    found: dict[Way, Times] = {way: defaultdict(list) for way in ways(args.processes)}
    for number in range(args.rounds):
        for way, times in found.items():
            print(f"round {number + 1} of {args.rounds}: {way}", file=sys.stderr, flush=True)
            for case, measured in measure(way, args.steps, args.only).items():
                times[case] += measured
    print(
        f"{described()}; medians of {args.rounds * args.steps} steps in ms (ratio to the first)\n"
    )
    print(table(found))


def described() -> str:
    """Return the machine and the version that decide the figures, in words."""
    import torch

    cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if cuda else f"{os.cpu_count()} CPU cores"
    return f"{device}, Python {platform.python_version()}, torch {torch.__version__}"


if __name__ == "__main__":
    main()

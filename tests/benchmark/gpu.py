"""`make gpu`: what captured steps, and runs side by side, are worth on this GPU; do they hold?

First the gate: a captured step equals a plain one to the bit. Then, as Markdown tables: the card's
ceilings, the time of a step in a plain loop, eagerly and captured, and so many processes abreast,
which must each end with the bits that they end with alone. Data are made up; batches are of full
size. Each part is written as it ends, and what is left when the time is over is left out.
"""

import argparse
import contextlib
import hashlib
import multiprocessing as mp
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

GAN = {"data.name": "synthetic", "data.limit": 8192, "train.batch_size": 128}
CNN = {"data.name": "synthetic", "data.limit": 4096, "train.batch_size": 32}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "CNN, batch 32": ("cnn", CNN),
    "CNN, batch norm": ("cnn", {**CNN, "model.batch_norm": True}),
    "CNN, tf32": ("cnn", {**CNN, "train.precision": "tf32"}),
    "CNN, bf16": ("cnn", {**CNN, "train.precision": "bf16"}),
    **{f"GAN, K = {k}": ("gan", {**GAN, "gan.unroll_steps": k}) for k in (0, 1, 5, 10)},
    **{f"ring, K = {k}": ("ring", {"gan.unroll_steps": k}) for k in (0, 5)},
}
ABREAST = ("CNN, batch 32", "GAN, K = 5", "ring, K = 5")
EXACT_STEPS = 300


class Page:
    """The tables so far, on the screen and in a file, and how much time is left."""

    def __init__(self, path: Path | None, minutes: float) -> None:
        self._path, self._end, self._text = path, time.monotonic() + 60 * minutes, ""

    def add(self, text: str) -> None:
        print(text, flush=True)
        self._text += text + "\n"
        if self._path:
            self._path.write_text(self._text)

    def late(self, seconds: float) -> bool:
        """Return whether something that takes so long would end too late."""
        late = time.monotonic() + seconds > self._end
        if late:
            self.add("(left out: no time)")
        return late


def trained(case: str, seed: int = 0, capture: bool = True) -> Any:
    """Return the training of a case, ready for its first step."""
    import torch

    from hw5hpc.engine.precision import settle
    from hw5hpc.engine.random import generator
    from hw5hpc.engine.replay import graphs_for
    from hw5hpc.experiments import EXPERIMENTS, adversarial, rebuild, supervised
    from hw5hpc.models.mlp import Mlp, classifier_widths

    experiment, values = CASES[case]
    device = torch.device("cuda", 0)
    config = rebuild(experiment, {**values, "seed": seed})
    settle(device, config.precision)
    judge = Mlp(classifier_widths(), generator("cpu", 0, "judge")).state_dict()
    weights = {"classifier": judge} if experiment == "gan" else {}
    graphs = graphs_for if capture else lambda device, alone: None
    with (
        mock.patch.object(adversarial, "graphs_for", graphs),
        mock.patch.object(supervised, "graphs_for", graphs),
    ):
        return EXPERIMENTS[experiment].load()(config, device, weights)


def step(training: Any, number: int) -> None:
    """Take a step as the loop does, with its sums of losses."""
    epoch, index = divmod(number, training.steps_per_epoch)
    training.position.add(*training.step(1 + epoch, index))


def steps_of(training: Any) -> Callable[[], None]:
    """Return what takes the training's next step."""
    from hw5hpc.engine.progress import Position

    training.position = Position()
    numbers = iter(range(10**9))
    return lambda: step(training, next(numbers))


def digest(training: Any) -> str:
    """Return a hash of all the training's weights."""
    found = hashlib.sha256()
    for name, tensor in sorted(training.weights().items()):
        found.update(name.encode() + tensor.cpu().numpy().tobytes())
    return found.hexdigest()


def captured(training: Any) -> bool:
    """Return whether the training's steps are replayed by now."""
    replay = getattr(training, "_gan", training)._replay
    return bool(replay.captures and replay._captured)


def microseconds(take: Callable[[], object], seconds: float) -> float:
    """Return the time of a step, over a window of so many seconds."""
    import torch

    torch.cuda.synchronize()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(20):
            take()
        # Otherwise the host runs ahead by thousands of steps, and the window has no end.
        torch.cuda.synchronize()
        count += 20
    return 1e6 * (time.perf_counter() - began) / count


def gate(page: Page) -> bool:
    page.add("\n### The gate: captured steps against plain ones, 20 steps\n")
    page.add("| case | captured | same bits | the same once more |\n|---|---|---|---|")
    whole = True
    for case in CASES:
        ends, was = [], False
        for capture in (False, True, True):
            training = trained(case, capture=capture)
            take = steps_of(training)
            for _ in range(20):
                take()
            was = captured(training) if capture else was
            ends.append(digest(training))
        same, again = ends[0] == ends[1], ends[1] == ends[2]
        whole &= was and same and again
        words = ["yes" if good else "**no**" for good in (was, same, again)]
        page.add(f"| {case} | " + " | ".join(words) + " |")
    return whole


def ceilings(page: Page) -> None:
    import torch

    page.add("\n### What the card can do\n\n| | |\n|---|---|")
    source = torch.empty(2 * 2**30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    rate = 2 * source.numel() / microseconds(lambda: target.copy_(source), 0.5) / 1e6
    page.add(f"| copy of 2 GiB, read and written | {rate:.2f} TB/s |")
    for precision in ("fp32", "tf32", "bf16"):
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        one = torch.randn(8192, 8192, device="cuda", dtype=kind)
        out = torch.empty_like(one)
        flops = (
            2 * 8192**3 / microseconds(lambda one=one, out=out: torch.mm(one, one, out=out), 0.5)
        )
        page.add(f"| product of 8192³, {precision} | {flops / 1e6:.0f} TFLOP/s |")
    torch.backends.cuda.matmul.allow_tf32 = False
    one, two = torch.randn(256, 784, device="cuda"), torch.randn(784, 512, device="cuda")
    taken = microseconds(lambda: torch.mm(one, two), 0.3)
    page.add(f"| product of 256 x 784 x 512, fp32 | {taken:.1f} µs |")


def plain_loop(case: str) -> Callable[[], object] | None:
    """Return one step of the loop that a user would write; None for what has no plain one."""
    import torch
    from plain import cnn_loop, gan_loop

    torch.backends.cudnn.allow_tf32 = False
    if case in ("CNN, batch 32", "CNN, batch norm"):
        return cnn_loop("cuda", norm="norm" in case)
    return gan_loop("cuda") if case == "GAN, K = 0" else None


def alone(page: Page, seconds: float) -> dict[str, float]:
    """Measure each case in a plain loop, eagerly and captured; return the eager times."""
    page.add("\n### One run alone: µs a step, median of three windows (eager time over it)\n")
    page.add("| case | plain loop | eager | captured |\n|---|---|---|---|")
    eager: dict[str, float] = {}
    for case in CASES:
        if page.late(9 * seconds + 2):
            break
        ways = {
            "plain": plain_loop(case),
            "eager": steps_of(trained(case, capture=False)),
            "captured": steps_of(trained(case)),
        }
        for take in filter(None, ways.values()):
            for _ in range(15):
                take()
        rounds = [
            {name: microseconds(take, seconds) for name, take in ways.items() if take}
            for _ in range(3)
        ]
        middle = {name: statistics.median(times[name] for times in rounds) for name in rounds[0]}
        eager[case] = middle["eager"]
        cells = [
            f"{middle[name]:.0f} ({middle['eager'] / middle[name]:.2f})" if name in middle else ""
            for name in ways
        ]
        page.add(f"| {case} | " + " | ".join(cells) + " |")
    return eager


def ended(case: str, seed: int) -> tuple[str, Callable[[], None]]:
    """Return a hash of the weights after some steps, and what takes the next one."""
    training = trained(case, seed)
    take = steps_of(training)
    for _ in range(EXACT_STEPS):
        take()
    return digest(training), take


def be_one(case: str, seed: int, seconds: float, start: Any, results: Any) -> None:
    """Be one of several processes: the hash after some steps, then a timed window."""
    end, take = ended(case, seed)
    start.wait()
    results.put((seed, end, 1e6 / microseconds(take, seconds)))


def side_by_side(case: str, count: int, seconds: float) -> tuple[float, dict[int, str]]:
    """Return all processes' steps a second together, and each one's hash by its seed."""
    context = mp.get_context("spawn")
    results, start = context.Queue(), context.Barrier(count)
    workers = [
        context.Process(target=be_one, args=(case, seed, seconds, start, results))
        for seed in range(count)
    ]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    return sum(rate for *_, rate in found), {seed: end for seed, end, _ in found}


def abreast(page: Page, eager: dict[str, float], seconds: float, counts: list[int]) -> None:
    page.add("\n### Side by side: µs a step of all together (one eager run's time over it)\n")
    page.add("| case | " + " | ".join(f"{n}" for n in counts) + " | same bits as alone |")
    page.add("|---" * (len(counts) + 2) + "|")
    solo = {case: {seed: ended(case, seed)[0] for seed in range(8)} for case in ABREAST}
    from hw5hpc.node import mps

    for shared in (mps.shared(), contextlib.nullcontext("")):
        with shared as said:
            if said.startswith("without"):
                page.add(f"({said})")
                continue
            for case in ABREAST:
                cells, same = [], True
                for count in counts:
                    if page.late(25 + seconds):
                        return
                    rate, ends = side_by_side(case, count, seconds)
                    same &= all(ends.get(seed, end) == end for seed, end in solo[case].items())
                    taken = 1e6 / rate
                    ratio = f" ({eager[case] / taken:.1f})" if case in eager else ""
                    cells.append(f"{taken:.0f}{ratio}")
                name = f"{case}{', MPS' if said else ''}"
                page.add(f"| {name} | " + " | ".join(cells) + f" | {'yes' if same else '**no**'} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=9, help="stop in time to end within these (default: 9)")
    add("--window", type=float, default=1.0, help="seconds of one timed window (default: 1)")
    add("--abreast", type=int, nargs="*", default=[4, 8, 16], metavar="N", help="default: 4 8 16")
    add("--out", type=Path, metavar="FILE", help="write the tables here as well")
    args = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("error: torch can use no GPU here", file=sys.stderr)
        return 2
    page = Page(args.out, args.minutes)
    page.add(
        f"{torch.cuda.get_device_name()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}, {time.strftime('%Y-%m-%d')}"
    )
    whole = gate(page)
    ceilings(page)
    eager = alone(page, args.window)
    abreast(page, eager, 2 * args.window, args.abreast)
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())

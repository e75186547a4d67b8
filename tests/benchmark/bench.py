"""`make bench`: what this suite takes, as a ratio against plain alternatives in the same run.

Two tables in Markdown, of an idle machine: a training step against a loop that a user would write,
against the bare step (the same mathematics in as few lines as there can be), and against the time
that its products alone would take at the speed of a large one; and a mixed sweep (8 CNN, 8 ring and
4 GAN runs, shortened) by plain scripts one after another, by this suite one run at a time, and side
by side. What is plain runs in processes that know nothing of this suite's settings.
"""

import argparse
import contextlib
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PLAIN = Path(__file__).with_name("plain.py")
sys.path.insert(0, str(ROOT))
# As it is before this suite says how threads wait.
PLAIN_ENV = dict(os.environ)
# For OpenMP's threads, which spin so long after a step, to be asleep when another way's turn comes.
REST_SECONDS = 0.01

Step = Callable[[], object]
CNN = {"data.name": "synthetic", "data.limit": 4096, "train.batch_size": 32}
GAN = {"data.name": "synthetic", "data.limit": 4096, "train.batch_size": 128}
# {kind: (runs, steps of each, the sweep file's config)}; the plain scripts take the same steps.
MIXED: dict[str, tuple[int, int, dict[str, Any]]] = {
    "cnn": (8, 128, {**CNN, "data.limit": 2048, "train.epochs": 2}),
    "ring": (8, 200, {"train.epochs": 2, "gan.unroll_steps": 5}),
    "gan": (4, 64, {**GAN, "data.limit": 4096, "train.epochs": 2, "gan.unroll_steps": 5,
                    "score.every_steps": 0, "score.samples": 1000, "score.classifier_epochs": 1}),
}  # fmt: skip


def own(experiment: str, **values: Any) -> Step:
    """Return what takes this suite's next step of an experiment, as its loop does."""
    import torch

    from hw5hpc.engine.progress import Position
    from hw5hpc.engine.random import generator
    from hw5hpc.experiments import EXPERIMENTS, rebuild
    from hw5hpc.models.mlp import Mlp, classifier_widths

    judge = Mlp(classifier_widths(), generator("cpu", 0, "judge")).state_dict()
    weights = {"classifier": judge} if experiment == "gan" else {}
    device = torch.device("cpu")
    training = EXPERIMENTS[experiment].load()(rebuild(experiment, values), device, weights)
    position, numbers = Position(), iter(range(10**9))

    def step() -> None:
        epoch, index = divmod(next(numbers), training.steps_per_epoch)
        position.add(*training.step(1 + epoch, index))

    return step


@contextlib.contextmanager
def plain(way: str, **settings: Any) -> Iterator[Step]:
    """Yield what takes the next step of a way in plain.py, in a process of its own."""
    command = [sys.executable, str(PLAIN), "serve", way, json.dumps(settings)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=PLAIN_ENV, stdin=pipe, stdout=pipe, text=True) as process:
        orders, answers = process.stdin, process.stdout
        assert orders is not None and answers is not None

        def step() -> None:
            orders.write("step\n")
            orders.flush()
            assert answers.readline(), f"{way} has ended"

        yield step


def cases() -> Iterator[tuple[str, dict[str, Step]]]:
    """Yield each case's ways of taking a step; the first one is what ratios refer to."""
    for norm in (False, True):
        for precision in ("fp32", "bf16"):
            keys = {**CNN, "model.batch_norm": norm, "train.precision": precision}
            bf16 = precision == "bf16"
            with contextlib.ExitStack() as stack:
                loop = stack.enter_context(plain("cnn_loop", norm=norm, bf16=bf16))
                bare = stack.enter_context(plain("cnn_bare", norm=norm, bf16=bf16))
                ways = {"loop": loop, "bare": bare, "suite": own("cnn", **keys)}
                if bf16:
                    ways["fp32 loop"] = stack.enter_context(plain("cnn_loop", norm=norm))
                yield f"CNN{', batch norm' if norm else ''}, {precision}", ways
    for depth in (0, 1, 5):
        way = plain("unrolled_gan", depth=depth) if depth else plain("gan_loop")
        with way as loop:
            suite = own("gan", **GAN, **{"gan.unroll_steps": depth})
            yield f"GAN, K = {depth}", {"loop": loop, "suite": suite}


def milliseconds(ways: dict[str, Step], rounds: int) -> dict[str, float]:
    """Return the median time of each way's step; they take turns, so that noise falls on all."""
    for take in ways.values():
        take(), take(), take()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, take in ways.items():
            time.sleep(REST_SECONDS)
            began = time.perf_counter()
            take()
            times[name].append(1e3 * (time.perf_counter() - began))
    return {name: statistics.median(found) for name, found in times.items()}


def gemm_gflops() -> float:
    """Return what this machine's matrix products reach in fp32, with all threads."""
    import torch

    one = torch.randn(1024, 1024)
    took = milliseconds({"gemm": lambda: one @ one}, 30)["gemm"]
    return 2 * 1024**3 / took / 1e6


def gigaflop(take: Step) -> float:
    """Return the floating point operations of a step's products and convolutions, in 1e9."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counted:
        take()
    return float(counted.get_total_flops()) / 1e9


def print_steps(rounds: int) -> None:
    import torch

    gflops = gemm_gflops()
    print(f"\n### A training step: ms (loop's time over it); products at {gflops:.0f} GFLOP/s\n")
    print("| case | plain loop | bare step | this suite | over bare | products | plain fp32 loop |")
    print("|---|---|---|---|---|---|---|")
    for case, ways in cases():
        took = milliseconds(ways, rounds)
        cells = [
            f"{took[way]:.1f} ({took['loop'] / took[way]:.2f})" if way in took else ""
            for way in ("loop", "bare", "suite")
        ]
        over = f"{took['suite'] / took['bare']:.2f}" if "bare" in took else ""
        # In bf16 products are faster than the one that was measured.
        floor = "" if "bf16" in case else f"{1e3 * gigaflop(ways['suite']) / gflops:.1f}"
        fp32 = took.get("fp32 loop")
        wide = f"{fp32:.1f} ({fp32 / took['suite']:.2f} times the suite's)" if fp32 else ""
        print(f"| {case} | " + " | ".join([*cells, over, floor, wide]) + " |", flush=True)
    print(f"\nbatches of 32 (CNN) and 128 (GAN); {torch.get_num_threads()} threads")


def by_scripts() -> None:
    """Train the mixed sweep by plain scripts, one after another, each with all cores."""
    for kind, (runs, count, _) in MIXED.items():
        for seed in range(runs):
            command = [sys.executable, str(PLAIN), kind, str(count), str(seed)]
            subprocess.run(command, check=True, env=PLAIN_ENV)


def by_suite(*words: str) -> None:
    """Train the mixed sweep by this suite, reports included."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, (runs, _, keys) in MIXED.items():
            file = Path(folder) / f"{kind}.yaml"
            config = "".join(f"  {key}: {str(value).lower()}\n" for key, value in keys.items())
            grid = f"grid:\n  seed: {{range: [0, {runs}]}}\nreport: [losses]\n"
            file.write_text(f"experiment: {kind}\nconfig:\n{config}{grid}".replace(
                "[losses]", "[training_loss]" if kind == "cnn" else "[losses]"
            ))  # fmt: skip
            command = [sys.executable, str(ROOT / "jobs/submit.py"), str(file), "--local"]
            command += ["--out", str(Path(folder) / "outputs"), *words]
            env = {**PLAIN_ENV, "WANDB_MODE": "disabled"}
            subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)


def print_mixed() -> None:
    ways: dict[str, Callable[[], None]] = {
        "plain scripts, one after another": by_scripts,
        "this suite, one run at a time": lambda: by_suite("--jobs", "1"),
        "this suite, side by side": lambda: by_suite(),
    }
    took: dict[str, float] = {}
    for name, run in ways.items():
        began = time.perf_counter()
        run()
        took[name] = time.perf_counter() - began
        print(f"{name}: {took[name]:.0f} s", file=sys.stderr, flush=True)
    longest = max(took.values())
    print("\n### A mixed sweep: 8 CNN, 8 ring (K = 5) and 4 GAN (K = 5) runs, with their reports\n")
    print("| | seconds | times faster than the slowest |\n|---|---|---|")
    for name, seconds in took.items():
        print(f"| {name} | {seconds:.0f} | {longest / seconds:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=25, help="timed steps of each way and case (default: 25)")
    add("--only", choices=("steps", "mixed"), help="one of the two tables")
    args = parser.parse_args()
    # It says how threads wait, which counts when torch is loaded.
    importlib.import_module("hw5hpc")
    import torch

    print(
        f"{os.cpu_count()} CPU cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}, {time.strftime('%Y-%m-%d')}"
    )
    if args.only != "mixed":
        print_steps(args.rounds)
    if args.only != "steps":
        print_mixed()


if __name__ == "__main__":
    main()

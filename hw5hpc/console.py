"""Run a command line's main function: a user's mistake becomes one line and exit status 2."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

from hw5hpc.errors import UserError, brief
from hw5hpc.sweep import scalar
from hw5hpc.text import in_lines

DONE, RUN_FAILED, WRONG_INPUT = 0, 1, 2
DISK_TROUBLE = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR,
    errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG,
)  # fmt: skip
# Set, it lets a team's umask decide who else may write.
SHARED = "HW5HPC_SHARED"


def parser(description: str | None, epilog: str) -> argparse.ArgumentParser:
    """Return a parser that shows its examples as they are written."""
    return argparse.ArgumentParser(
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_places(made: argparse.ArgumentParser) -> None:
    """Add --cluster and --out, which mean the same in every command."""
    made.add_argument(
        "--cluster", metavar="NAME", help="the profile slurm/NAME.yaml, or a profile's file, whose "
        "Slurm and output folder are meant (default: the one that sent the sweep)"
    )  # fmt: skip
    made.add_argument(
        "--out", type=Path, metavar="DIR",
        help="the output folder (default: $HW5HPC_OUT, the profile's 'out', or outputs/)",
    )  # fmt: skip


def guard(main: Callable[[], int]) -> int:
    """Return main's exit status; UserError and a disk that refuses give 2, Ctrl-C 130, a closed
    pipe 141.
    """
    # Progress must show at once in a log file or a pipe, too.
    keep_others_from_writing()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that is not UTF-8 cannot be printed as it is, and must not end a command.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        return main()
    except UserError as error:
        print(f"error: {in_lines(str(error))}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt as stopped:
        print(in_lines(str(stopped)) or "stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone; Python would complain once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        where = error.filename or "the output folder"
        print(f"error: {where}: {error.strerror}", file=sys.stderr)
        return WRONG_INPUT


def whole_number(option: str, text: str) -> int:
    """Return an option's number, read by the rules of the files.

    Raises:
        UserError: no whole number from 1.
    """
    try:
        value = scalar.value(text)
    except ValueError as error:
        raise UserError(f"{option} {error}") from error
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{option} takes a whole number from 1, got {brief(text)}")
    return value


def amount(option: str, text: str) -> float:
    """Return an option's number, which may have a fraction.

    Raises:
        UserError: no finite number from 0.
    """
    value = scalar.number(text)
    if value is None or not 0 <= value < float("inf"):
        raise UserError(f"{option} takes a number from 0, got {brief(text)}")
    return float(value)


def keep_others_from_writing() -> None:
    """Make files and folders that group and others may not write, unless $HW5HPC_SHARED is 1.

    Slurm hands the umask on to the jobs. A stricter one stays.
    """
    if os.environ.get(SHARED) != "1":
        os.umask(os.umask(0o077) | 0o022)


def shown(path: Path) -> str:
    """Return a path as a user would type it: relative when it lies below this folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)

"""Run a command line's main function: a user's mistake becomes one line and exit status 2."""

import argparse
import errno
import gc
import io
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TextIO

from hw5hpc.errors import UserError, brief, nearest
from hw5hpc.sweep import scalar
from hw5hpc.text import folded, in_lines

HELP_COLUMNS = 79
DONE, RUN_FAILED, WRONG_INPUT = 0, 1, 2
DISK_TROUBLE = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR,
    errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG,
)  # fmt: skip
# Set, it lets a team's umask decide who else may write.
SHARED = "HW5HPC_SHARED"


class Help(argparse.RawDescriptionHelpFormatter):
    """Shows examples as they are written, but no line that is wider than the terminal."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return folded(text, width + 2)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, which names the nearest option for a misspelt one."""

    def error(self, message: str) -> NoReturn:
        known = [word for action in self._actions for word in action.option_strings]
        named = re.search(r"unrecognized arguments: (--?[^\s=]+)", message)
        hint = nearest(named[1], known) if named else ""
        raise UserError(f"{message}.{hint} {self.prog} --help tells all")


def parser(description: str | None, epilog: str) -> argparse.ArgumentParser:
    """Return a parser that shows its examples as they are written."""
    filled = textwrap.fill(" ".join((description or "").split()), HELP_COLUMNS)
    return Parser(description=filled, epilog=epilog, formatter_class=Help)


def say(text: str, file: TextIO | None = None) -> None:
    """Print a message; where a terminal shows it, its lines are folded to the terminal's width."""
    stream = file or sys.stdout
    width = shutil.get_terminal_size().columns
    print(folded(text, width) if stream.isatty() else text, file=stream)


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
        say(f"error: {in_lines(str(error))}", sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt as stopped:
        say(in_lines(str(stopped)) or "stopped", sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone; Python would complain once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        where = error.filename or "the output folder"
        say(f"error: {where}: {error.strerror}", sys.stderr)
        return WRONG_INPUT
    finally:
        # Python would search all that was imported for garbage while it exits, 0.4 s for nothing.
        # But with torch comes an extension that complains of what it still finds then.
        if "torch" not in sys.modules:
            gc.freeze()


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

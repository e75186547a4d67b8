"""An experiment of the user's own: one Python file that holds its config and its training class."""

import hashlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from hw5hpc.errors import UserError
from hw5hpc.experiments.config import ExperimentConfig

SUFFIX = ".py"
# What a file has to hold, and what it may.
CONFIG, TRAINING = "Config", "Training"
HEADLINE, RUNS_PER_TASK = "HEADLINE", "RUNS_PER_TASK"
METHODS = ("start", "step", "evaluate", "finish", "state", "load_state", "weights")


class OwnExperimentError(UserError):
    """A file that is no experiment; the message holds its path, and the line where it broke."""


def module_of(path: Path) -> ModuleType:
    """Import the file, once for each content that it has.

    Raises:
        OwnExperimentError: it is not there, or running it raises an error.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OwnExperimentError(f"{path}: cannot be read: {error.strerror}") from error
    name = f"own_{path.stem}_{hashlib.sha256(bytes(path) + content).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path.absolute())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their own module up while it is being run.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise OwnExperimentError(f"{_place(error, path)}: {_in_words(error)}") from error
    return module


def _in_words(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg}"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def line_of(error: BaseException, path: Path) -> int | None:
    """Return the file's last line that an error went through; None when it went through none."""
    name = str(path.absolute())
    if isinstance(error, SyntaxError) and error.filename == name:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == name), None)


def _place(error: BaseException, path: Path) -> str:
    line = line_of(error, path)
    return f"{path}:{line}" if line else str(path)


def check(module: ModuleType, path: Path) -> tuple[type[ExperimentConfig], dict[str, Any]]:
    """Return the config class, and the optional names that the file gives.

    Raises:
        OwnExperimentError: a class is missing, or is not what it has to be.
    """
    config, training = (getattr(module, name, None) for name in (CONFIG, TRAINING))
    if not (isinstance(config, type) and issubclass(config, ExperimentConfig)):
        raise OwnExperimentError(
            f"{path}: takes a frozen dataclass {CONFIG!r} made from ExperimentConfig, "
            "TrainedConfig or ImagesConfig (hw5hpc.experiments.config)"
        )
    if not isinstance(training, type):
        raise OwnExperimentError(f"{path}: takes a class {TRAINING!r} that trains")
    missing = [name for name in METHODS if not callable(getattr(training, name, None))]
    if missing:
        raise OwnExperimentError(f"{path}: the class {TRAINING!r} lacks {', '.join(missing)}")
    try:
        config()
    except Exception as error:
        raise OwnExperimentError(
            f"{_place(error, path)}: {CONFIG}(): {_in_words(error)}"
        ) from error
    return config, {name: getattr(module, name, None) for name in (HEADLINE, RUNS_PER_TASK)}

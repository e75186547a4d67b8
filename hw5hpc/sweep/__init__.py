"""The sweep grammar: a YAML file becomes validated points with stable ids."""

from hw5hpc.sweep.grammar import SweepError
from hw5hpc.sweep.load import Sweep, load
from hw5hpc.sweep.point import Point, RunConfig, run_id

__all__ = ["Point", "RunConfig", "Sweep", "SweepError", "load", "run_id"]

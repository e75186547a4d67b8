"""Where runs execute: the plan, Slurm, this machine, and the worker that both call."""

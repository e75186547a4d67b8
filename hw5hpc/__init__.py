"""hw5hpc: one short sweep file in, Slurm GPU arrays run it, plots you can trust come out."""

import os

# OpenMP's threads spin for milliseconds before they sleep, which made small training steps 20 to 80
# times slower where other jobs share the cores; to sleep at once makes them up to twice as slow
# where none does. So they spin for a moment (docs/benchmarks.md); the policy is for OpenMPs other
# than GNU's. Both are read once, when torch is first loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "4000")
# A rank that dies breaks the others' connections, of which torch's C++ parts print pages of frames
# before Python can say which rank it was, and why.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
# Without a workspace of fixed size cuBLAS may sum in another order from one call to the next. It is
# read once, when CUDA is first used.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

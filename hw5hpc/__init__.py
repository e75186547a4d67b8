"""hw5hpc: one short sweep file in, Slurm GPU arrays run it, plots you can trust come out."""

import os

# OpenMP's threads spin while they wait; where other jobs share the cores that made small training
# steps 20 to 80 times slower (docs/benchmarks.md). It is read once, when torch is first loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A rank that dies breaks the others' connections, of which torch's C++ parts print pages of frames
# before Python can say which rank it was, and why.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
# Without a workspace of fixed size cuBLAS may sum in another order from one call to the next. It is
# read once, when CUDA is first used.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

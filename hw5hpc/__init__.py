"""hw5hpc: one short sweep file in, Slurm GPU arrays run it, plots you can trust come out."""

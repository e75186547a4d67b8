"""How anything is trained, the unrolled GAN step included; it knows no config and no data set."""

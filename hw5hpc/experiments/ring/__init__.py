"""The GAN on the ring of Gaussians: the quickest proof that unrolling is right."""

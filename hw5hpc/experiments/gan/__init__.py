"""The GAN on small grey images, with unrolled discriminator steps."""

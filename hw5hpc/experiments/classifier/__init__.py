"""The classifier that scores a GAN's samples."""

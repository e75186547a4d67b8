"""Data sets: found on disk without torch, loaded as uint8 tensors on a device."""

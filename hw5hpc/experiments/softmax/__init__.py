"""What adding a constant to all logits does to the softmax in floating point."""

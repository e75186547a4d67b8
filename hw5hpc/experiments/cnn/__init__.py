"""The CIFAR-10 study: a small CNN with and without batch norm."""

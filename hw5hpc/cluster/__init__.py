"""What sends: from a sweep and a profile to jobs in a queue, or to runs on this machine."""

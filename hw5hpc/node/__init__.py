"""What runs on a node: claim the runs of a task, train each, and leave a state and a reason."""

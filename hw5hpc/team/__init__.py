"""What brings the processes of a task together, and tells them when one of them dies."""

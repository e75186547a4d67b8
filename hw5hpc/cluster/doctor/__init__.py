"""The doctor: asks a cluster what it has and allows, tries a job, and writes a profile for it."""

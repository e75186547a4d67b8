"""What of a finished run's files is not what the run wrote."""

from hw5hpc.store import RunFolder, StoreError


def damage_of(run: RunFolder, needed: bool) -> str:
    """Return the first damaged file of a result and what is wrong with it, '' when none is.

    Where other runs need its weights (`needed`), only these count, with their content. Of other
    results only lengths are compared, as reading everything would take too long. What is wrong with
    a result that cannot be read, or is of another format, stands in the run's status.
    """
    try:
        damaged = run.damage(content=needed)
        if needed:
            name = str(run.weights.relative_to(run.path))
            damaged = {key: what for key, what in damaged.items() if key == name}
            # Results of before there were checksums name no files.
            if not run.weights.exists() and "files" not in (run.result() or {}):
                damaged[name] = "missing"
    except StoreError:
        return ""
    return next((f"{run.path / name}: {what}" for name, what in damaged.items()), "")

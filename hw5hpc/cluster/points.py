"""Which points of a sweep some words mean: run ids, or key=value of what the sweep varies."""

from collections.abc import Mapping, Sequence

from hw5hpc.errors import UserError, brief, nearest

SHOWN = 6


def pick(points: Sequence[Mapping[str, str]], words: Sequence[str]) -> list[str]:
    """Return the runs that the words mean, in the sweep's order; without words, all.

    Args:
        points: the rows of points.csv, `run` and every swept key as text.
        words: run ids or their beginnings, which add up; and `key=value`, the key whole or its last
            part, the value one or several with commas: each of these leaves fewer.

    Raises:
        UserError: a word that means no point; names what there is, and the nearest.
    """
    named = [word for word in words if "=" not in word]
    chosen = {run for word in named for run in _runs(points, word)}
    left = [row for row in points if not named or row["run"] in chosen]
    for word in words:
        if "=" in word:
            left = _narrowed(points, left, word)
    return [row["run"] for row in left]


def pick_one(points: Sequence[Mapping[str, str]], words: Sequence[str]) -> str:
    """Return the one run that the words mean.

    Raises:
        UserError: they mean none or several.
    """
    found = pick(points, words)
    if len(found) == 1:
        return found[0]
    meant = [row for row in points if row["run"] in found]
    shown = "; ".join(named(row) for row in meant[:SHOWN])
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    said = f"{brief(' '.join(words))} means {len(found)} points" if words else "which point"
    raise UserError(f"{said}; give one by its run id or by key=value words: {shown}{more}")


def named(row: Mapping[str, str]) -> str:
    """Return a point as one types it: its run id, then what the sweep varies."""
    return " ".join(
        [row["run"], *(f"{short(key)}={value}" for key, value in row.items() if key != "run")]
    )


def short(key: str) -> str:
    """Return the last part of a dotted key."""
    return key.rpartition(".")[2]


def _runs(points: Sequence[Mapping[str, str]], word: str) -> list[str]:
    found = [row["run"] for row in points if row["run"].startswith(word)]
    if not found:
        keys = ", ".join(f"{key}=..." for key in points[0] if key != "run")
        hint = nearest(word, [row["run"] for row in points])
        raise UserError(
            f"no point {brief(word)}; give a run id, its beginning, or what the sweep varies "
            f"({keys or 'nothing'}).{hint}"
        )
    return found


def _narrowed(
    points: Sequence[Mapping[str, str]], left: Sequence[Mapping[str, str]], word: str
) -> list[Mapping[str, str]]:
    name, _, text = word.partition("=")
    keys = [key for key in points[0] if key != "run"]
    key = name if name in keys else next((key for key in keys if short(key) == name), "")
    if not key:
        raise UserError(
            f"{brief(word)}: the sweep varies no {brief(name)}; it varies "
            f"{', '.join(keys) or 'nothing'}.{nearest(name, keys)}"
        )
    wanted = text.split(",")
    found = [row for row in left if any(same(row[key], value) for value in wanted)]
    if not found:
        there = list(dict.fromkeys(row[key] for row in points))
        more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
        raise UserError(f"no point has {word}; {key} is one of {', '.join(there[:SHOWN])}{more}")
    return found


def same(one: str, other: str) -> bool:
    """Whether two texts are the same value: 0.0010 and 1e-3 are."""
    try:
        return float(one) == float(other)
    except ValueError:
        return one.lower() == other.lower()

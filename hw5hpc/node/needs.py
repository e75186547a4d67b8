"""What a run says when an earlier run that it needs is of no use: its node writes, the plan reads.

A run that failed for that reason alone goes out again once the earlier one does, or is whole again.
"""

import re


def of_no_use(role: str, run: str, why: str) -> str:
    return f"its {role}, run {run}, {why}"


def blames(reason: str, run: str) -> bool:
    """Whether a run failed only because of the earlier run `run`."""
    return re.search(rf"\bits \S+, run {re.escape(run)}, ", reason) is not None

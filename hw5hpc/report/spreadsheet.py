"""Write tables as CSV that a spreadsheet opens as data: no cell becomes a formula."""

import contextlib
import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

# So many rows are Python objects at a time: of a million they would take a gigabyte.
ROWS = 50_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def text(frame: pd.DataFrame) -> str:
    """Return the frame as CSV; words that would start a formula stand behind an apostrophe."""
    parts = [_lines([list(map(cell, frame.columns))])]
    for begin in range(0, len(frame), ROWS):
        part = frame.iloc[begin : begin + ROWS]
        parts.append(_lines(zip(*(_cells(part[name]) for name in part), strict=True)))
    return "".join(parts)


def _lines(rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def _cells(column: "pd.Series[Any]") -> list[Any]:
    """The csv module writes None as nothing, but NaN by its name."""
    found = column.astype(object).where(column.notna(), None).tolist()
    return found if pd.api.types.is_numeric_dtype(column) else list(map(cell, found))


def cell(value: object) -> object:
    """Return the value as it goes into a cell; numbers, also those written as text, stay."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    with contextlib.suppress(ValueError):
        float(value)
        return value
    return "'" + value

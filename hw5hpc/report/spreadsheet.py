"""Write tables as CSV that a spreadsheet opens as data: no cell becomes a formula."""

import contextlib

import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def text(frame: pd.DataFrame) -> str:
    """Return the frame as CSV; words that would start a formula stand behind an apostrophe."""
    return frame.map(cell).rename(columns=cell).to_csv(index=False)


def cell(value: object) -> object:
    """Return the value as it goes into a cell; numbers, also those written as text, stay."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    with contextlib.suppress(ValueError):
        float(value)
        return value
    return "'" + value

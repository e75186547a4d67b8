"""Numbers as they are written for a reader: to a few figures, large ones to the unit."""

from hw5hpc.report.statistics import Estimate

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# Above, all digits of a number would be more than one can read.
LARGE = 1e7


def figures(value: float, count: int = 4) -> str:
    """Return a number to `count` figures, a large one to the unit: '0.8332', '11725'."""
    # No minus before a zero.
    value += 0.0
    whole = 10**count <= abs(value) < LARGE
    return f"{value:.0f}" if whole else f"{value:.{count}g}"


def interval(found: Estimate) -> str:
    """Return a mean and the ends of its interval: '7.333 [3.539, 10]'."""
    return f"{figures(found.mean)} [{figures(found.low)}, {figures(found.high)}]"


def power(value: float) -> str:
    """Return a number to three figures, a very small or large one as a power of ten: '3.3·10⁻⁵'."""
    digits, _, exponent = f"{value:.3g}".partition("e")
    if not exponent:
        return digits
    raised = ten_to(int(exponent))
    return {"1": raised, "-1": f"−{raised}"}.get(digits, f"{digits}·{raised}")


def ten_to(exponent: int) -> str:
    """Return '10⁻⁵'."""
    return "10" + str(exponent).translate(_SUPERSCRIPT)

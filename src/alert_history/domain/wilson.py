"""The Wilson interval: between which bounds a share lies that was counted on few or on many.

Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, 1927. The interval never
leaves 0 to 1, and is wide where little was counted: of three hits among three it reaches from 0.44 to 1.
"""

import math

import msgspec

Z_95 = 1.96
"""How many standard deviations enclose 95 % of a normal distribution."""


class Interval(msgspec.Struct, frozen=True, gc=False):
    """Bounds with `low` <= `high`, in the unit of what they enclose."""

    low: float
    high: float


def wilson(hits: float, of: float, z: float = Z_95) -> Interval:
    """The bounds, 0 to 1, of the share of `hits` among `of`; the whole of 0 to 1 where nothing was counted.

    Both may be fractions: what depends on each other counts for less than one.
    Raises: ValueError unless 0 <= hits <= of.
    """
    if not 0 <= hits <= of:
        raise ValueError(f"{hits} hits among {of}")
    if of == 0:
        return Interval(0.0, 1.0)
    square = z * z
    middle = hits + square / 2
    reach = z * math.sqrt(hits * (of - hits) / of + square / 4)
    low = 0.0 if hits == 0 else (middle - reach) / (of + square)
    high = 1.0 if hits == of else (middle + reach) / (of + square)
    return Interval(max(low, 0.0), min(high, 1.0))

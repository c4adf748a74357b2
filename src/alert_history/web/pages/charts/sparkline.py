"""A line as small as a word: how a number went over a span. It stands in a row of a table that says the rest."""

from collections.abc import Sequence

import msgspec

from alert_history.web.pages.charts.scale import number_words

WIDTH, HEIGHT = 100, 24
_INSET = 1.5  # pixels, so that the line is not cut


class Sparkline(msgspec.Struct, frozen=True):
    """The line, and the area below it, as paths of SVG; empty without numbers."""

    line: str
    area: str
    text: str
    width: int = WIDTH
    height: int = HEIGHT


def sparkline(numbers: Sequence[int], *, noun: str, unit: str) -> Sparkline:
    """The line of numbers, oldest first; `unit` says of what each is: `day`."""
    if not numbers:
        return Sparkline("", "", f"None {noun}.")
    highest = max(numbers)
    step = WIDTH / max(len(numbers) - 1, 1)
    heights = [_y(number, highest) for number in (numbers if len(numbers) > 1 else [*numbers, *numbers])]
    points = " ".join(f"{place * step:.1f},{y:.1f}" for place, y in enumerate(heights))
    line = f"M{points}"
    text = (
        f"{number_words(sum(numbers))} {noun} in {len(numbers)} {unit}{'s' if len(numbers) > 1 else ''}; "
        f"at most {number_words(highest)} a {unit}, {number_words(numbers[-1])} in the last"
    )
    return Sparkline(line, f"{line} {WIDTH},{HEIGHT} 0,{HEIGHT}Z", text)


def _y(number: int, highest: int) -> float:
    return HEIGHT - _INSET - (HEIGHT - 2 * _INSET) * number / max(highest, 1)

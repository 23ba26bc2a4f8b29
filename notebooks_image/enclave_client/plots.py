"""Drawing a figure of an answer the way its field does, always with its interval; matplotlib is loaded at first use."""

from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import groupby
from typing import Any

from .figures import Figure, Line

CROWDED = 4  # labels beyond so many are turned, or they overlap
TABLE_COLUMNS = 2


def draw(figure: Figure, title: str, axes: Any = None) -> Any:
    """Draw and give the matplotlib axes: bars for bins, steps for survival, a grid for a table, points otherwise."""
    on = axes if axes is not None else import_module("matplotlib.pyplot").subplots()[1]
    kind = figure.coordinates
    if len(kind) == TABLE_COLUMNS and not figure.by:
        _grid(on, figure)
    else:
        known = kind[0] if len(kind) == 1 else ""
        _DRAWN.get(known, _points)(on, figure)
    on.set_title(title, fontsize="small")
    return on


def _ends(lines: Sequence[Line]) -> tuple[list[float], list[float], list[float]]:
    """Give values and the lengths of their intervals below and above; what is untold is drawn nowhere."""
    nan = float("nan")
    values = [nan if line.cell.value is None else line.cell.value for line in lines]
    lows = [
        value if line.cell.low is None else line.cell.low for value, line in zip(values, lines, strict=True)
    ]
    highs = [
        value if line.cell.high is None else line.cell.high for value, line in zip(values, lines, strict=True)
    ]
    below = [max(0.0, value - low) for value, low in zip(values, lows, strict=True)]
    above = [max(0.0, high - value) for value, high in zip(values, highs, strict=True)]
    return values, below, above


def _groups(figure: Figure) -> list[tuple[str, list[Line]]]:
    return [
        (" · ".join(str(value) for _, value in group), list(lines))
        for group, lines in groupby(figure.lines, key=lambda line: line.group)
    ]


def _points(axes: Any, figure: Figure) -> None:
    values, below, above = _ends(figure.lines)
    places = list(range(len(values)))
    labels = [line.label or figure.name for line in figure.lines]
    axes.errorbar(places, values, yerr=[below, above], fmt="o", capsize=4)
    axes.set_xticks(places, labels, rotation=30 if len(labels) > CROWDED else 0)
    axes.set_ylabel(figure.name)


def _bars(axes: Any, figure: Figure) -> None:
    groups = _groups(figure)
    width = 0.8 / max(1, len(groups))
    for place, (name, lines) in enumerate(groups):
        values, below, above = _ends(lines)
        at = [index + place * width for index in range(len(lines))]
        axes.bar(at, values, width, yerr=[below, above], capsize=2, label=name or None)
    labels = [str(line.at[0][1]) for line in groups[0][1]] if groups else []
    axes.set_xticks(
        [index + 0.4 - width / 2 for index in range(len(labels))], labels, rotation=45, ha="right"
    )
    axes.set_ylabel(figure.name)
    _legend(axes, groups)


def _steps(axes: Any, figure: Figure) -> None:
    groups = _groups(figure)
    for name, lines in groups:
        values, below, above = _ends(lines)
        times = [0.0, *(float(line.at[0][1]) for line in lines)]
        curve = [1.0, *values]
        low = [1.0, *(value - less for value, less in zip(values, below, strict=True))]
        high = [1.0, *(value + more for value, more in zip(values, above, strict=True))]
        (drawn,) = axes.step(times, curve, where="post", label=name or None)
        axes.fill_between(times, low, high, step="post", alpha=0.2, color=drawn.get_color())
    axes.set_ylim(0, 1.02)
    axes.set_ylabel(figure.name)
    _legend(axes, groups)


def _coefficients(axes: Any, figure: Figure) -> None:
    lines = [line for line in figure.lines if line.at[0][1] != "intercept"]
    values, below, above = _ends(lines)
    places = list(range(len(lines)))
    axes.errorbar(values, places, xerr=[below, above], fmt="o", capsize=4)
    axes.axvline(0, linewidth=0.8, color="0.5")
    axes.set_yticks(places, [line.label for line in lines])
    axes.set_xlabel(figure.name)


def _grid(axes: Any, figure: Figure) -> None:
    rows, columns = (list(dict.fromkeys(line.at[place][1] for line in figure.lines)) for place in (0, 1))
    found = {(line.at[0][1], line.at[1][1]): line.cell.value or 0.0 for line in figure.lines}
    shown = [[max(0.0, found[row, column]) for column in columns] for row in rows]
    axes.figure.colorbar(axes.imshow(shown, aspect="auto", cmap="Blues"), ax=axes, label=figure.name)
    axes.set_xticks(range(len(columns)), [str(each) for each in columns], rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), [str(each) for each in rows])


def _legend(axes: Any, groups: Sequence[tuple[str, list[Line]]]) -> None:
    if len(groups) > 1:
        axes.legend(fontsize="small")


_DRAWN: dict[str, Callable[[Any, Figure], None]] = {"bin": _bars, "time": _steps, "term": _coefficients}

"""The charts of the report, as plotly figures. Colours that depend on light or dark are the page's.

plotly shows texts as a subset of HTML, so every text from outside goes through `label` first.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

from plotly import graph_objects as go
from plotly.subplots import make_subplots

from clary.catalog import tuning
from clary.catalog.tuning import Definition
from clary.cli.tuning.axes import Axis, axis_of, space_of
from clary.cli.tuning.study import State, Study, Trial, short

FINISHED, STOPPED, FAILED, BEST = "#3b82f6", "#f59e0b", "#ef4444", "#10b981"
_BEST_FIRST = [[0, BEST], [0.5, FINISHED], [1, "#9aa5b5"]]
_LATEST_LAST = [[0, "#b3bccb"], [1, "#2563eb"]]
"""Both can be told apart on white and on black."""
SYMBOLS: dict[State, str] = {"finished": "circle", "stopped": "diamond-open", "failed": "x"}
_OUTLINE: dict[State, float] = {"finished": 0, "stopped": 2, "failed": 0}
_WORDS: dict[State, str] = {"finished": "finished", "stopped": "stopped early", "failed": "failed"}
_COLOURS: dict[State, str] = {"finished": FINISHED, "stopped": STOPPED, "failed": FAILED}
LONGEST = 60
PER_ROW = 3
_ROW_HEIGHT = 260
Values = Mapping[str, float | int | str]


def label(text: str, longest: int = LONGEST) -> str:
    """Text from outside as plotly shows it letter by letter."""
    return html.escape(_cut(text, longest), quote=False)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _hover(trial: Trial) -> str:
    lines = [label(trial.name), _WORDS.get(trial.state, trial.state)]
    lines.append(f"objective {trial.value:.6g}" if trial.value is not None else label(trial.cause, 120))
    return "<br>".join([*lines, *(f"{label(name)} = {label(short(text))}" for name, text in trial.texts.items())])


def over_time(study: Study) -> go.Figure:
    """The objective of each trial when it ended, and the best so far; failed trials on a strip of their own below."""
    ended = {one: (one.ended - study.started).total_seconds() for one in study.trials if one.ended}
    unit, size = _unit(max(ended.values(), default=0))
    at = {one: seconds / size for one, seconds in sorted(ended.items(), key=lambda pair: pair[1])}
    known = [(time, one.value) for one, time in at.items() if one.value is not None]
    figure = go.Figure()
    if known:
        best = list(accumulate((value for _, value in known), min if study.minimize else max))
        line = {"shape": "hv", "width": 2, "color": BEST}
        figure.add_scatter(x=[time for time, _ in known], y=best, mode="lines", name="best so far", line=line, hoverinfo="skip")
    for state in SYMBOLS:
        if any(one.state == state for one in at):
            figure.add_scatter(**_marks(state, {one: time for one, time in at.items() if one.state == state}))
    strip = bool(known) and any(one.state == "failed" for one in at)
    unmarked = {"showticklabels": False, "showgrid": False, "zeroline": False}
    figure.update_layout(
        height=400,
        xaxis={"title": {"text": f"{unit} since the tuning job was created"}, "rangemode": "tozero"},
        yaxis={"title": {"text": label(study.metrics)}, "domain": [0.12 if strip else 0, 1]},
        yaxis2={"domain": [0, 0.06] if known else [0, 1], "range": [-1, 1]} | unmarked,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure.update_xaxes(anchor="free", position=0)


def _marks(state: State, at: Mapping[Trial, float]) -> dict[str, object]:
    """A mark a trial, at the time of its end."""
    return {
        "x": list(at.values()),
        "y": [0 if one.value is None else one.value for one in at],
        "yaxis": "y2" if state == "failed" else "y",
        "mode": "markers",
        "name": f"{_WORDS[state]} ({len(at)})",
        "marker": {"symbol": SYMBOLS[state], "size": 9, "color": _COLOURS[state], "line": {"width": _OUTLINE[state]}},
        "hovertext": [_hover(one) for one in at],
        "hoverinfo": "text",
    }


def _unit(seconds: float) -> tuple[str, float]:
    return ("hours", 3600.0) if seconds > 7200 else ("minutes", 60.0) if seconds > 300 else ("seconds", 1.0)


def _known(study: Study, definition: Definition) -> list[tuple[Trial, Values]]:
    """The trials of a definition that have a value, with typed hyperparameters, in the order of their start."""
    mine = [one for one in study.trials if one.value is not None and one.definition == definition.name]
    typed = [(one, tuning.typed(definition, one.texts)) for one in mine]
    return [(one, values) for one, values in typed if values is not None]


def axes(definition: Definition) -> list[Axis]:
    return [axis_of(parameter) for parameter in space_of(definition).parameters]


def parallel_coordinates(study: Study, definition: Definition) -> go.Figure | None:
    """A line a trial through its hyperparameters and its objective; ranges on the axes select lines. None without trials."""
    known = _known(study, definition)
    if not known:
        return None
    objective = [one.value for one, _ in known]
    dimensions = [_dimension(axis, [values[axis.name] for _, values in known]) for axis in axes(definition)]
    dimensions.append({"label": label(definition.metric, 22), "values": objective})
    line = {"color": objective, "colorscale": _BEST_FIRST, "reversescale": not study.minimize}
    figure = go.Figure(go.Parcoords(dimensions=dimensions, line=line, labelside="top"))
    return figure.update_layout(height=440, margin={"l": 80, "r": 80, "t": 60, "b": 30})


def _dimension(axis: Axis, values: Sequence[float | int | str]) -> dict[str, object]:
    return {
        "label": label(axis.name, 22),
        "values": [axis.place(value) for value in values],
        "range": [axis.low, axis.high],
        "tickvals": axis.ticks,
        "ticktext": [_cut(text, 20) for text in axis.labels],  # the one place where plotly shows text as it is
    }


def importance(shares: Mapping[str, float]) -> go.Figure:
    """The share (0 to 1) of the objective's variation in which each hyperparameter has a hand, the most important on top."""
    ordered = sorted(shares.items(), key=lambda one: one[1])
    figure = go.Figure(
        go.Bar(
            x=[100 * share for _, share in ordered],
            y=[label(name, 30) for name, _ in ordered],
            orientation="h",
            marker={"color": FINISHED},
            text=[f"{100 * share:.0f} %" for _, share in ordered],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    return figure.update_layout(
        height=110 + 34 * len(ordered),
        xaxis={"title": {"text": "share of the objective's variation, %"}, "rangemode": "tozero"},
        yaxis={"type": "category", "automargin": True},
    )


def slices(study: Study, definition: Definition) -> go.Figure | None:
    """The objective against each hyperparameter on the scale of its range; later trials are bluer. None without trials."""
    known = _known(study, definition)
    if not known:
        return None
    found = axes(definition)
    rows = math.ceil(len(found) / PER_ROW)
    columns = min(PER_ROW, len(found))
    height = rows * _ROW_HEIGHT + 80
    figure = make_subplots(
        rows, columns, shared_yaxes=True, horizontal_spacing=0.03, vertical_spacing=90 / height if rows > 1 else 0
    )
    for number, axis in enumerate(found):
        row, column = divmod(number, columns)
        place = {"row": row + 1, "col": column + 1}
        figure.add_scatter(**_slice(axis, known, first=number == 0), **place)
        figure.update_xaxes(
            title={"text": label(axis.name, 28), "standoff": 6},
            range=[axis.low - 0.04 * (axis.high - axis.low), axis.high + 0.04 * (axis.high - axis.low)],
            tickvals=axis.ticks,
            ticktext=[label(text, 14) for text in axis.labels],
            zeroline=False,
            **place,
        )
    for row in range(rows):
        figure.update_yaxes(title={"text": label(definition.metric, 40)}, row=row + 1, col=1)
    return figure.update_layout(height=height, showlegend=False)


def _slice(axis: Axis, known: Sequence[tuple[Trial, Values]], first: bool) -> dict[str, object]:
    marker: dict[str, object] = {
        "size": 8,
        "color": [one.number for one, _ in known],
        "colorscale": _LATEST_LAST,
        "symbol": [SYMBOLS[one.state] for one, _ in known],
        "line": {"width": [_OUTLINE[one.state] for one, _ in known]},
    }
    if first:
        marker |= {"showscale": True, "colorbar": {"title": {"text": "trial"}, "thickness": 12}}
    return {
        "x": [axis.place(values[axis.name]) for _, values in known],
        "y": [one.value for one, _ in known],
        "mode": "markers",
        "marker": marker,
        "hovertext": [_hover(one) for one, _ in known],
        "hoverinfo": "text",
    }

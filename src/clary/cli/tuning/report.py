"""The report of a tuning job: one HTML file with its charts, trials and settings, which loads nothing from anywhere.

plotly's Python package has one build of plotly.js, with all its kinds of charts (4.8 MB); compressed it is 1.5 MB, and browsers
unpack it. The page allows no script but its own and no request at all (Content-Security-Policy).
"""

from __future__ import annotations

import base64
import gzip
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
from plotly import graph_objects as go
from plotly.offline import get_plotlyjs

from clary import __version__
from clary.catalog import tuning
from clary.catalog.ranges import CategoryRange, Range
from clary.catalog.tuning import Definition
from clary.cli.tuning import charts
from clary.cli.tuning.axes import axis_of, space_of
from clary.cli.tuning.study import Study, Trial, duration, short
from clary.tuning import Trial as Tried
from clary.tuning.importance import importance

TEMPLATE = "report.html"
IMPORTANCE_SEED = 0


def page(study: Study) -> str:
    """The report as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"short": short, "duration": duration}
    sections = [_section(study, definition) for definition in study.definitions]
    figures = {"over-time": charts.over_time(study)} if any(one.ended for one in study.trials) else {}
    for number, section in enumerate(sections):
        figures |= {f"{name}-{number}": figure for name, figure in section.figures.items()}
    return environment.get_template(TEMPLATE).render(
        study=study,
        sections=sections,
        names=list(dict.fromkeys(one.name for definition in study.definitions for one in definition.ranges)),
        ranks={trial.name: rank for rank, trial in enumerate(study.ranked, 1)},
        settings=_settings(study),
        figures=_for_script(figures),
        plotly=_packed(get_plotlyjs()),
        nonce=secrets.token_urlsafe(16),
        version=__version__,
        written=datetime.now(UTC),
    )


@dataclass(frozen=True, slots=True)
class Section:
    """What the report shows of one training job definition."""

    definition: Definition
    figures: Mapping[str, go.Figure]
    ranges: list[tuple[str, str, str]]
    """Of each hyperparameter: its name, its range, its scale."""


def _section(study: Study, definition: Definition) -> Section:
    figures = {
        "parallel": charts.parallel_coordinates(study, definition),
        "importance": _importance(study, definition),
        "slices": charts.slices(study, definition),
    }
    scales: list[str] = [axis_of(one).scale or "Categories" for one in space_of(definition).parameters]
    ranges = [(one.name, _range(one), scale) for one, scale in zip(definition.ranges, scales, strict=True)]
    return Section(definition, {name: figure for name, figure in figures.items() if figure is not None}, ranges)


def _range(searched: Range) -> str:
    if isinstance(searched, CategoryRange):
        return ", ".join(searched.values)
    return f"{searched.low:g} to {searched.high:g}" + (", whole numbers" if searched.integer else "")


def _importance(study: Study, definition: Definition) -> go.Figure | None:
    tried = [_tried(one, definition) for one in study.trials if one.value is not None and one.definition == definition.name]
    trials = [one for one in tried if one is not None]
    shares = importance(space_of(definition), trials, study.minimize, IMPORTANCE_SEED)
    return charts.importance(shares) if shares else None


def _tried(trial: Trial, definition: Definition) -> Tried | None:
    values = tuning.typed(definition, trial.texts)
    return None if values is None else Tried(trial.number - 1, values, trial.value, "finished")


def _settings(study: Study) -> list[tuple[str, str]]:
    """What was asked for, as the request has it, but for the ranges."""
    config, description = study.config, study.description
    asked = {name: value for name, value in config.items() if name != "ParameterRanges"}
    asked |= {name: description[name] for name in ("WarmStartConfig", "Autotune") if name in description}
    found = [(name, text) for name, value in asked.items() for name, text in _flat(name, value)]
    for definition in study.definitions:
        prefix = f"{definition.name}: " if definition.name else ""
        told = {
            name: value for name, value in definition.request.items() if name not in ("DefinitionName", "HyperParameterRanges")
        }
        found += [(f"{prefix}{name}", text) for name, text in _flat("", told)]
    return found


_SHOWN_ELSEWHERE = ("DefinitionName", "HyperParameterRanges")


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    """Nested members as `A.B.C` with their values as text."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(f"{name}.{key}".lstrip("."), inner)]
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return [pair for number, one in enumerate(value) for pair in _flat(f"{name}[{number}]", one)]
    return [(name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))]


def _for_script(figures: Mapping[str, go.Figure]) -> str:
    """JSON that no parser of HTML takes for anything else."""
    told = {name: json.loads(figure.to_json()) for name, figure in figures.items()}
    for figure in told.values():
        figure["layout"].pop("template", None)  # the page has its own, one for light and one for dark
    return json.dumps(told).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _packed(script: str) -> str:
    return base64.b64encode(gzip.compress(script.encode(), 9, mtime=0)).decode()

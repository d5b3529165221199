"""The leaderboard of a tuning job in a terminal: progress, best so far, running trials, ranking, why trials failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from clary.cli.tuning.study import State, Study, Trial, duration, short

COLOURS = {"InProgress": "cyan", "Stopping": "yellow", "Completed": "green", "Stopped": "yellow", "Failed": "red"}
MOST_COLUMNS = 6
"""More hyperparameters than that share one column."""
_BAR_WIDTH = 30


def leaderboard(study: Study, latest: Mapping[str, float], top: int) -> RenderableType:
    """Everything about the tuning job that fits on a screen.

    latest : what running trials have last reported, by the names of their training jobs
    top : how many trials of the ranking are shown
    """
    parts: list[RenderableType] = [_head(study), _progress(study)]
    if study.best is not None:
        parts += [Text(), _best(study, study.best)]
    if running := study.in_state("running"):
        parts += [Text(), _running(study, running, latest)]
    if study.ranked:
        parts += [Text(), _ranking(study, top)]
    if study.causes:
        parts += [Text(), _failures(study)]
    return Group(*parts)


def plain(text: str) -> Text:
    """Text from outside: neither rich's markup nor the terminal's control characters mean anything in it."""
    return Text("".join(letter if letter.isprintable() else " " for letter in text))


def _head(study: Study) -> RenderableType:
    direction = "minimize" if study.minimize else "maximize"
    head = Text.assemble(
        (study.name, "bold"), "  ", (study.status, COLOURS.get(study.status, "")), f"  {study.config['Strategy']}, {direction} "
    ).append_text(plain(study.metrics))
    if study.reason:
        head.append("\n").append_text(plain(study.reason)).stylize("red", len(head) - len(study.reason))
    return head


def _progress(study: Study) -> RenderableType:
    ended = len(study.trials) - len(study.in_state("running"))
    of = "" if study.planned is None else f" of {study.planned}"
    states: tuple[State, ...] = ("running", "stopped", "failed")
    counts = [f"{len(found)} {_WORDS[state]}" for state in states if (found := study.in_state(state))]
    line = ", ".join([f"{ended}{of} trials", *counts, duration(study.seconds)])
    if study.planned is None:
        return Text(line)
    row = Table.grid(padding=(0, 2))
    row.add_row(ProgressBar(total=study.planned, completed=ended, width=_BAR_WIDTH), line)
    return row


_WORDS = {"running": "running", "stopped": "stopped early", "failed": "failed"}


def _best(study: Study, best: Trial) -> RenderableType:
    return Text.assemble(("best  ", "bold"), (f"{best.value:.6g}", "bold green"), f"  {best.name}  ").append_text(_values(best))


def _values(trial: Trial) -> Text:
    return plain("  ".join(f"{name}={short(text)}" for name, text in trial.texts.items()))


def _table(study: Study, title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in _NUMBERS else "left", no_wrap=True)
    for name in _shown(study):
        table.add_column(plain(name), overflow="fold")
    return table


_NUMBERS = ("rank", "objective", "latest", "time")


def _shown(study: Study) -> list[str]:
    """The headers of the columns with what trials try: one a hyperparameter, or one for all of them."""
    names = [one.name for one in study.definitions[0].ranges]
    return names if len(study.definitions) == 1 and len(names) <= MOST_COLUMNS else ["definition and values"]


def _cells(study: Study, trial: Trial) -> Iterable[Text]:
    names = _shown(study)
    if names != ["definition and values"]:
        return [plain(short(trial.texts.get(name, ""))) for name in names]
    return [plain(f"{trial.definition}  ").append_text(_values(trial)) if trial.definition else _values(trial)]


def _running(study: Study, trials: list[Trial], latest: Mapping[str, float]) -> Table:
    table = _table(study, "running", "trial", "latest")
    for trial in trials:
        value = latest.get(trial.name)
        table.add_row(_tail(study, trial), "-" if value is None else f"{value:.6g}", *_cells(study, trial))
    return table


def _ranking(study: Study, top: int) -> Table:
    table = _table(study, f"ranking, {min(top, len(study.ranked))} of {len(study.ranked)}", *_RANKING)
    for rank, trial in enumerate(study.ranked[:top], 1):
        status = Text(trial.status, COLOURS[trial.status])
        time = "" if trial.seconds is None else duration(trial.seconds)
        style = "bold" if rank == 1 else ""
        table.add_row(str(rank), f"{trial.value:.6g}", _tail(study, trial), status, time, *_cells(study, trial), style=style)
    return table


_RANKING = ("rank", "objective", "trial", "status", "time")


def _tail(study: Study, trial: Trial) -> Text:
    """The end of a trial's name, which is what distinguishes it."""
    return plain(trial.name.removeprefix(f"{study.name}-"))


def _failures(study: Study) -> Table:
    table = Table(title="why trials failed", title_justify="left", title_style="bold red", box=None, pad_edge=False)
    for column, justify in (("trials", "right"), ("first", "left"), ("cause", "left")):
        table.add_column(column, justify=justify, header_style="dim", overflow="fold")  # type: ignore[arg-type]
    for cause, count, trial in study.causes:
        table.add_row(str(count), _tail(study, trial), plain(cause))
    return table

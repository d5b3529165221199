"""The manual of XGBoost says what the declaration says. `python tests/algorithms/test_manual.py` renews the table."""

from __future__ import annotations

from pathlib import Path

from clary.catalog.builtin.xgboost import ALGORITHM
from clary.catalog.hyperparameters import Categorical, CommaList, Hyperparameter

PAGE = Path(__file__).parents[2] / "docs" / "algorithms" / "xgboost.md"
BEGIN, END = "<!-- hyperparameters: made from the declaration -->\n", "<!-- end -->"


def table() -> str:
    """A Markdown table of the hyperparameters: name, meaning, valid values, range to tune, versions."""
    rows = [_row(declared) for declared in ALGORITHM.hyperparameters.declarations if not declared.name.startswith("_")]
    return "\n".join(["| name | meaning | accepts | tune in | image versions |", "|---|---|---|---|---|", *rows]) + "\n"


def _row(declared: Hyperparameter) -> str:
    names = ", ".join(f"`{name}`" for name in (declared.name, *declared.aliases))
    cells = [names + (" (required)" if declared.required else ""), declared.description, _accepts(declared), _tunable(declared)]
    return "| " + " | ".join([*cells, _versions(declared)]) + " |"


def _accepts(declared: Hyperparameter) -> str:
    if isinstance(declared, Categorical):
        return ", ".join(f"`{value}`" for value in declared.values)
    if isinstance(declared, CommaList):
        return declared.kind
    return f"{declared.kind} {declared.valid}"


def _tunable(declared: Hyperparameter) -> str:
    return f"{declared.tunable.minimum:g}–{declared.tunable.maximum:g}" if declared.tunable else ""


def _versions(declared: Hyperparameter) -> str:
    since = "from " + ".".join(map(str, declared.since)) if declared.since else ""
    until = "to " + ".".join(map(str, declared.until)) if declared.until else ""
    return f"{since} {until}".strip() or "all"


def test_the_table_of_hyperparameters_is_that_of_the_declaration():
    page = PAGE.read_text()
    assert page[page.index(BEGIN) + len(BEGIN) : page.index(END)] == table()


def test_every_image_and_metric_is_in_the_manual():
    page = PAGE.read_text()
    for repository, tags in ALGORITHM.repositories.items():
        assert all(f"`{name}`" in page for name in (repository, *tags))
    assert all(f"`{metric.name.split(':')[1]}`" in page for metric in ALGORITHM.metrics)


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(text[: text.index(BEGIN)] + BEGIN + table() + text[text.index(END) :])

"""The manual of each algorithm says what its declaration says. `python tests/algorithms/test_manual.py` renews the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from clary.catalog.algorithms import Algorithm, every
from clary.catalog.hyperparameters import Categorical, CommaList, Hyperparameter

PAGES = Path(__file__).parents[2] / "docs" / "algorithms"
BEGIN, END = "<!-- hyperparameters: made from the declaration -->\n", "<!-- end -->"


def page(algorithm: Algorithm) -> Path:
    return PAGES / f"{algorithm.name}.md"


def table(algorithm: Algorithm) -> str:
    """A Markdown table of the hyperparameters: name, meaning, valid values, range to tune, and default or versions."""
    declared = [each for each in algorithm.hyperparameters.declarations if not each.name.startswith("_")]
    last = "default" if any(each.default is not None for each in declared) else "image versions"
    rows = [_row(each, last) for each in declared]
    return "\n".join([f"| name | meaning | accepts | tune in | {last} |", "|---|---|---|---|---|", *rows]) + "\n"


def _row(declared: Hyperparameter, last: str) -> str:
    names = ", ".join(f"`{name}`" for name in (declared.name, *declared.aliases))
    cells = [names + (" (required)" if declared.required else ""), declared.description, _accepts(declared), _tunable(declared)]
    return "| " + " | ".join([*cells, _default(declared) if last == "default" else _versions(declared)]) + " |"


def _default(declared: Hyperparameter) -> str:
    return "" if declared.default is None else f"`{declared.default}`"


def _accepts(declared: Hyperparameter) -> str:
    return _accepted(declared) + (" or `auto`" if declared.auto else "")


def _accepted(declared: Hyperparameter) -> str:
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


@pytest.mark.parametrize("algorithm", every(), ids=lambda algorithm: algorithm.name)
def test_the_table_of_hyperparameters_is_that_of_the_declaration(algorithm):
    text = page(algorithm).read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == table(algorithm)


@pytest.mark.parametrize("algorithm", every(), ids=lambda algorithm: algorithm.name)
def test_every_image_and_metric_is_in_the_manual(algorithm):
    text = page(algorithm).read_text()
    for repository, tags in algorithm.repositories.items():
        assert all(f"`{name}`" in text for name in (repository, *tags))
    assert [m.name for m in algorithm.metrics if not {f"`{m.name}`", f"`{m.name.partition(':')[2]}`"} & set(_code(text))] == []


def _code(text: str) -> list[str]:
    return [f"`{part}`" for part in text.split("`")[1::2]]


if __name__ == "__main__":
    for algorithm in every():
        text = page(algorithm).read_text()
        page(algorithm).write_text(text[: text.index(BEGIN)] + BEGIN + table(algorithm) + text[text.index(END) :])

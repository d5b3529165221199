"""The reason a client reads."""

from __future__ import annotations

import pytest

from clary.compute.supervisor.failures import JobError, describe, reason


class CustomerError(Exception):
    """Named as the train programs' own."""


def test_the_users_mistakes_are_client_errors() -> None:
    assert reason(2, describe(CustomerError("no label")), "", False) == "ClientError: no label, exit code: 2"
    assert describe(JobError("x"))["prefix"] == "ClientError"


def test_everything_else_is_an_algorithm_error() -> None:
    assert (
        reason(1, describe(ZeroDivisionError("division by zero")), "", False)
        == "AlgorithmError: division by zero, exit code: 1"
    )


def test_the_programs_own_words_come_first() -> None:
    text = reason(1, describe(ValueError("x")), "data were bad\n", False)
    assert text == "AlgorithmError: data were bad, exit code: 1"
    assert reason(1, None, "ClientError: column 3", False) == "ClientError: column 3, exit code: 1"


@pytest.mark.parametrize(
    ("code", "memory", "words"),
    [
        (-9, False, "signal 9 (SIGKILL), exit code: 137"),
        (-11, False, "SIGSEGV"),
        (-9, True, "memory ran out"),
        (-99, False, "signal 99"),
    ],
)
def test_signals_are_named(code: int, memory: bool, words: str) -> None:
    assert words in reason(code, None, "", memory)


def test_a_reason_fits_the_member_and_keeps_its_end() -> None:
    text = reason(1, None, "x" * 5000, False)
    assert len(text) == 1024
    assert text.endswith(", exit code: 1")

"""What a processing job shows of its hosts' records."""

from __future__ import annotations

from typing import Any

from clary.compute.control import processing_job
from clary.compute.control.training_decision import Finish
from clary.compute.supervisor.record import ExitRecord


def ended(outcome: str, reason: str = "", **record: Any) -> dict[str, Any]:
    return ExitRecord(outcome=outcome, reason=reason, started=10.0, ended=20.0, **record).document()  # type: ignore[arg-type]


def test_the_start_is_when_the_first_host_began() -> None:
    entries = [(30, {"t": 5000, "s": "Downloading"}), (60, {"t": 6000, "s": "Processing"})]
    state = processing_job.after_statuses({}, entries)
    assert state == {"ProcessingStartTime": 5.0, "_status_offset": 60}
    assert processing_job.after_statuses(state, [(90, {"t": 7000, "s": "Processing"})])["ProcessingStartTime"] == 5.0


def test_a_lost_host_costs_an_attempt() -> None:
    assert processing_job.after_loss({"_status_offset": 60}, 1, 9.0) == {"_attempt": 2, "_status_offset": 0}


def test_the_end_shows_what_the_program_left() -> None:
    end = Finish("Completed", "Completed", record=ended("Completed", message="7 rows dropped"))
    state = processing_job.after_end({}, end, 99.0)
    assert state == {"ProcessingStartTime": 10.0, "ProcessingEndTime": 20.0, "ExitMessage": "7 rows dropped"}


def test_the_end_of_a_failed_job_has_a_reason() -> None:
    end = Finish("Failed", "Failed", "AlgorithmError: no", ended("Failed", "AlgorithmError: no"))
    assert processing_job.after_end({}, end, 99.0)["FailureReason"] == "AlgorithmError: no"


def test_a_job_that_never_began_ends_now() -> None:
    assert processing_job.after_end({}, Finish("Stopped", "Stopped"), 99.0) == {"ProcessingEndTime": 99.0}

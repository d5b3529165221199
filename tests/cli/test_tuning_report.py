"""The report and the leaderboard of tuning jobs that cannot be had quickly from a server: hostile, empty, many-headed."""

from __future__ import annotations

import base64
import gzip
import json
import math
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plotly.offline import get_plotlyjs
from rich.console import Console

from clary.cli.tuning import charts
from clary.cli.tuning.axes import axis_of
from clary.cli.tuning.leaderboard import leaderboard
from clary.cli.tuning.report import page
from clary.cli.tuning.study import Study, Trial, duration, short
from clary.tuning import Categorical, Continuous, Integer

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
OWN = "000000000000.dkr.ecr.us-east-1.amazonaws.com/own:1"
IMAGE_TAG = '<img src=x onerror="alert(1)">'
SCRIPT = "</script><script>alert(1)</script>"
NAMES = (f"{SCRIPT} rate", '<a href="javascript:alert(1)">n</a> %{x} {{7*7}}', "<b>kind</b> & [bold]x[/bold]")
KINDS = (SCRIPT, IMAGE_TAG, "a<br>b&lt;c")
REASON = f"AlgorithmError: {IMAGE_TAG}\x1b[2J{SCRIPT}"


def description(ranges, metric="score", image=OWN, status="Completed", **changes):
    return {
        "HyperParameterTuningJobName": "job",
        "HyperParameterTuningJobArn": "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/job",
        "HyperParameterTuningJobStatus": status,
        "CreationTime": START,
        "HyperParameterTuningEndTime": START + timedelta(seconds=100),
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 9, "MaxParallelTrainingJobs": 1},
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": metric},
            "ParameterRanges": ranges,
        },
        "TrainingJobDefinition": definition(metric, image),
    } | changes


def definition(metric="score", image=OWN, **changes):
    specification = {"TrainingImage": image, "TrainingInputMode": "File"}
    if image == OWN:
        specification["MetricDefinitions"] = [{"Name": metric, "Regex": "(.+)"}]
    output = {"S3OutputPath": f"s3://bucket/{IMAGE_TAG}"}
    return {"AlgorithmSpecification": specification, "RoleArn": "arn", "OutputDataConfig": output} | changes


def continuous(name, low, high, scaling="Auto"):
    return {"ContinuousParameterRanges": [{"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": scaling}]}


def trial(number, value, texts, status="Completed", definition="", cause=""):
    ended = None if status == "InProgress" else START + timedelta(seconds=10 * number)
    return Trial(number, f"job-{number:03d}-0a0a0a0a", status, value, texts, definition, START, ended, cause)


@pytest.fixture(scope="module")
def hostile():
    """Nine trials: finished, stopped, failed; every name, value and reason tries to be more than text."""
    ranges = continuous(NAMES[0], "0.5", "0.9999", "ReverseLogarithmic") | {
        "IntegerParameterRanges": [{"Name": NAMES[1], "MinValue": "1", "MaxValue": "500", "ScalingType": "Logarithmic"}],
        "CategoricalParameterRanges": [{"Name": NAMES[2], "Values": list(KINDS)}],
    }
    trials = []
    for number in range(1, 10):
        texts = {NAMES[0]: repr(1 - 0.5 / number), NAMES[1]: str(2**number // 2), NAMES[2]: KINDS[number % 3]}
        if number % 4 == 0:
            trials.append(trial(number, None, texts, "Failed", cause=REASON))
        else:
            trials.append(trial(number, number / 10, texts, "Stopped" if number % 4 == 3 else "Completed"))
    return Study(description(ranges, "<i>score</i>", status="Failed", FailureReason=REASON), tuple(trials))


class Parsed(HTMLParser):
    """The tags of a page, the contents of its scripts by their ids, and all other text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.text = [], {}, ""
        self._script = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._script = dict(attrs).get("id", "") if tag == "script" else None

    def handle_endtag(self, tag):
        self._script = None

    def handle_data(self, data):
        if self._script is None:
            self.text += data
        else:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data


@pytest.fixture(scope="module")
def parsed(hostile):
    return Parsed(page(hostile))


def test_texts_from_outside_stay_text(parsed):
    allowed = {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "main",
            "header",
            "footer",
            "section",
            "details",
            "summary",
            "script",
        ),
        *(
            "div",
            "span",
            "p",
            "b",
            "h1",
            "h2",
            "h3",
            "code",
            "label",
            "input",
            "button",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
        ),
    }
    assert {tag for tag, _ in parsed.tags} <= allowed
    assert list(parsed.scripts) == ["figures", "plotly", ""]
    for text in (*NAMES, *KINDS, "<i>score</i>", REASON):
        assert text in parsed.text


def test_the_page_loads_nothing_and_lets_no_other_script_run(parsed):
    assert not [attributes for _, attributes in parsed.tags if {"src", "href", "srcset", "action"} & attributes.keys()]
    policy = next(attributes["content"] for _, attributes in parsed.tags if "http-equiv" in attributes)
    nonces = {attributes["nonce"] for tag, attributes in parsed.tags if tag == "script"}
    assert len(nonces) == 1
    assert f"default-src 'none'; script-src 'nonce-{nonces.pop()}'" in policy
    assert gzip.decompress(base64.b64decode(parsed.scripts["plotly"])).decode() == get_plotlyjs()


def test_the_figures_hold_every_trial(parsed, hostile):
    figures = json.loads(parsed.scripts["figures"])
    assert list(figures) == ["over-time", "parallel-0", "importance-0", "slices-0"]
    assert sum(figures["importance-0"]["data"][0]["x"]) == pytest.approx(100)
    names = {"best so far": 7, "finished (5)": 5, "stopped early (2)": 2, "failed (2)": 2}
    traces = {trace["name"]: len(trace["y"]) for trace in figures["over-time"]["data"]}
    assert traces == names
    dimensions = figures["parallel-0"]["data"][0]["dimensions"]
    assert [one["label"] for one in dimensions][-1] == "&lt;i&gt;score&lt;/i&gt;"
    assert len(dimensions) == 4


def test_the_line_is_the_best_value_so_far(hostile):
    line = charts.over_time(hostile).data[0]
    assert line.y == (0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.9)
    falling = [trial(number, value, {"x": "1"}) for number, value in enumerate((3.0, 5.0, 2.0), 1)]
    job = description(continuous("x", "0", "1"))
    job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["Type"] = "Minimize"
    assert charts.over_time(Study(job, tuple(falling))).data[0].y == (3.0, 3.0, 2.0)


def test_hovering_shows_names_letter_by_letter(hostile):
    texts = "".join(text for trace in charts.over_time(hostile).data for text in trace.hovertext or ())
    assert "<img" not in texts
    assert "<script" not in texts
    assert "&lt;img src=x" in texts


def test_a_job_without_trials_has_a_page():
    shown = Parsed(page(Study(description(continuous("x", "0", "1"), status="InProgress"), ())))
    assert "No trial has started." in shown.text
    assert json.loads(shown.scripts["figures"]) == {}


def test_a_job_whose_trials_have_all_failed_has_a_page():
    failed = tuple(trial(number, None, {"x": "0.5"}, "Failed", cause="no") for number in (1, 2))
    shown = Parsed(page(Study(description(continuous("x", "0", "1"), status="Failed"), failed)))
    assert list(json.loads(shown.scripts["figures"])) == ["over-time"]
    assert "No trial has ended with a value yet." in shown.text


def test_each_definition_has_charts_of_its_own():
    objective = {"Type": "Maximize", "MetricName": "score"}
    several = [
        definition(DefinitionName=name, TuningObjective=objective, HyperParameterRanges=continuous(searched, "0.1", "1"))
        for name, searched in (("one", "x"), ("two", "y"))
    ]
    job = description({}) | {"TrainingJobDefinitions": several}
    del job["TrainingJobDefinition"], job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    trials = (trial(1, 0.5, {"x": "0.3"}, definition="one"), trial(2, 0.7, {"y": "0.3"}, definition="two"))
    shown = Parsed(page(Study(job, trials)))
    assert {"parallel-0", "slices-0", "parallel-1", "slices-1"} <= json.loads(shown.scripts["figures"]).keys()
    assert "one: hyperparameters" in shown.text
    text = drawn(Study(job, trials), {})
    assert "two  y=0.3" in text


def test_ranges_that_autotune_chose_are_shown():
    job = description({}, "validation:auc", XGBOOST, Autotune={"Mode": "Enabled"})
    shown = Parsed(page(Study(job, ())))
    assert "max_depth" in shown.text


# --- axes ------------------------------------------------------------------------------------------------------------

BOUNDS = st.floats(1e-6, 1e6)
SHARES = st.floats(0, 0.999999)
PARAMETERS = st.one_of(
    st.tuples(BOUNDS, BOUNDS).map(lambda two: Continuous("x", min(two), max(two), "Logarithmic")),
    st.tuples(BOUNDS, BOUNDS).map(lambda two: Continuous("x", -max(two), min(two), "Linear")),
    st.tuples(SHARES, SHARES).map(lambda two: Continuous("x", min(two), max(two), "ReverseLogarithmic")),
    st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)).map(lambda two: Integer("x", min(two), max(two))),
)


@given(PARAMETERS)
def test_ticks_lie_on_the_axis_in_order(parameter):
    axis = axis_of(parameter)
    slack = 1e-6 * (1 + abs(axis.low) + abs(axis.high))
    assert all(axis.low - slack <= tick <= axis.high + slack for tick in axis.ticks)
    assert all(one <= two for one, two in pairwise(axis.ticks))
    assert 1 <= len(axis.ticks) <= 30
    assert axis.low <= axis.place(parameter.low) + slack
    assert axis.place(parameter.high) <= axis.high + slack


def test_ticks_are_round_values_on_the_scale_of_the_range():
    assert axis_of(Continuous("x", 0.001, 1.0, "Logarithmic")).labels == ("0.001", "0.01", "0.1", "1")
    assert axis_of(Continuous("x", 0.2, 3.0, "Logarithmic")).labels == ("0.2", "0.5", "1", "2")
    assert axis_of(Continuous("x", 0.5, 0.9999, "ReverseLogarithmic")).labels == ("0.9", "0.99", "0.999", "0.9999")
    assert axis_of(Integer("x", 1, 10)).labels == ("2", "4", "6", "8", "10")
    kinds = axis_of(Categorical("x", ("a", "b")))
    assert (kinds.labels, kinds.place("b")) == (("a", "b"), 1.0)
    assert math.isclose(axis_of(Continuous("x", 0.001, 1.0, "Logarithmic")).place(0.01), -2)


# --- the leaderboard -------------------------------------------------------------------------------------------------


def drawn(study, latest, top=10):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(leaderboard(study, latest, top))
    return console.export_text()


def test_the_leaderboard_shows_what_runs_and_what_it_has_reported():
    texts = {"x": "0.123456789"}
    trials = (trial(1, 0.5, texts), trial(2, None, texts, "InProgress"), trial(3, None, texts, "InProgress"))
    text = drawn(Study(description(continuous("x", "0", "1"), status="InProgress"), trials), {trials[1].name: 0.75})
    assert "1 of 9 trials, 2 running" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["002-0a0a0a0a", "0.75", "0.12346"] in lines
    assert ["003-0a0a0a0a", "-", "0.12346"] in lines


def test_the_leaderboard_takes_no_orders_from_texts(hostile):
    text = drawn(hostile, {})
    assert "\x1b" not in text
    assert "[bold]x[/bold]" in text
    assert "2 stopped early, 2 failed" in text


def test_many_hyperparameters_share_a_column():
    names = [f"x{number}" for number in range(8)]
    ranges = {"ContinuousParameterRanges": [{"Name": name, "MinValue": "0", "MaxValue": "1"} for name in names]}
    text = drawn(Study(description(ranges), (trial(1, 0.5, dict.fromkeys(names, "0.5")),)), {})
    assert "x0=0.5  x1=0.5" in text


def test_numbers_for_reading():
    assert [short(text) for text in ("0.30030554407954063", "gbtree", "1.0", "1e-12", "inf")] == [
        *("0.30031", "gbtree", "1.0", "1e-12", "inf")
    ]
    assert [duration(seconds) for seconds in (4.21, 185, 7620)] == ["4.2 s", "3 min 05 s", "2 h 07 min"]

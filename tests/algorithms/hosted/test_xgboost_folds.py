"""Cross validation in the XGBoost train program: folds, models, mean metrics and predictions for rows unseen."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.xgboost import folds, load, train
from clary.core.inference import InferenceRequest
from clary.formats import csv

VALUE = re.compile(r"\t((?:train|validation)-\S+?):(\S+)")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32).round(3)
    return np.column_stack([(X[:, 0] + X[:, 1] > 0.5).astype(np.float32), X])


def job(tmp_path, table, hyperparameters, **options):
    halves = {"train": {"a.csv": csv.format_rows(table[:200])}, "validation": {"b.csv": csv.format_rows(table[200:])}}
    settings = {"num_round": "5", "objective": "binary:logistic", "nthread": "1"} | hyperparameters
    return lay_out(tmp_path, settings, options.pop("channels", halves), **options)


@given(st.data())
def test_every_round_of_folds_covers_all_rows_evenly(data):
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=6, max_size=60)), dtype=np.float32)
    count, rounds = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 3))
    stratified = data.draw(st.booleans())
    cut = list(folds.splits(labels, count, rounds, 1, stratified))
    assert len(cut) == count * rounds
    for number in range(rounds):
        parts = cut[number * count : (number + 1) * count]
        assert np.sort(np.concatenate(parts)).tolist() == list(range(len(labels)))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        if stratified:
            for value in np.unique(labels):
                shares = [int((labels[part] == value).sum()) for part in parts]
                assert max(shares) - min(shares) <= 1


def test_a_model_per_fold_and_round_and_their_mean_metrics(tmp_path, table, capfd):
    train(job(tmp_path, table, {"_kfold": "3", "_num_cv_round": "2", "eval_metric": "logloss,accuracy", "seed": "4"}))
    models = sorted((tmp_path / "model").iterdir())
    assert [path.name for path in models] == [f"xgboost-model-{number}" for number in range(6)]
    log = capfd.readouterr().out.splitlines()
    ends = [number for number, line in enumerate(log) if "The metrics of round" in line]
    overall = next(number for number, line in enumerate(log) if "The overall metrics of 2-round cross validation" in line)
    assert "Run 2-round of 3-fold cross validation with 300 rows" in "\n".join(log)
    last = [dict(VALUE.findall(line)) for line in log if line.startswith("[4]\t")]
    assert last[0].keys() == {f"{data}-{name}" for data in ("train", "validation") for name in ("logloss", "accuracy")}
    means = [log[number + 1] for number in (*ends, overall)]
    for line, parts in zip(means, (last[:3], last[3:], last), strict=True):
        assert line.startswith("[5]\t")
        for name, mean in VALUE.findall(line):
            assert float(mean) == pytest.approx(np.mean([float(part[name]) for part in parts]), abs=2e-5)


def test_predictions_are_those_of_the_models_that_have_not_seen_the_rows(tmp_path, table):
    train(job(tmp_path, table, {"_kfold": "4", "_num_cv_round": "2", "seed": "1"}))
    rows = np.loadtxt(tmp_path / "output" / "data" / "predictions.csv", delimiter=",")
    np.testing.assert_array_equal(rows[:, 0], table[:, 0])
    unseen = np.zeros((300, 2))
    for number, held_out in enumerate(folds.splits(table[:, 0], 4, 2, 1, True)):
        booster = xgboost.Booster(model_file=tmp_path / "model" / f"xgboost-model-{number}")
        unseen[held_out, number // 4] = booster.predict(xgboost.DMatrix(table[held_out, 1:]))
    np.testing.assert_allclose(rows[:, 1], unseen.mean(axis=1), atol=1e-6)
    assert set(rows[:, 2]) == {0, 1}
    assert (rows[:, 2] == table[:, 0]).mean() > 0.85


@pytest.mark.parametrize("content_type", ["text/csv", "text/libsvm"])
@pytest.mark.parametrize("objective", ["multi:softprob", "multi:softmax", "reg:squarederror"])
def test_other_objectives_and_formats(tmp_path, table, content_type, objective):
    labelled = np.column_stack([np.digitize(table[:, 1], [-0.5, 0.5]), table[:, 1:]])
    write = csv.format_rows if content_type == "text/csv" else libsvm
    classes = {"num_class": "3"} if objective.startswith("multi") else {}
    channels = {"train": {"a": write(labelled)}}
    train(job(tmp_path, table, {"_kfold": "2", "objective": objective} | classes, channels=channels, content_type=content_type))
    rows = np.loadtxt(tmp_path / "output" / "data" / "predictions.csv", delimiter=",")
    assert rows.shape == (300, 3 if classes else 2)
    if classes:
        assert (rows[:, 2] == labelled[:, 0]).mean() > 0.9


def libsvm(table) -> bytes:
    rows = (" ".join([f"{row[0]:g}", *(f"{column}:{value}" for column, value in enumerate(row[1:]))]) for row in table)
    return "\n".join(rows).encode()


def test_early_stopping_watches_the_fold(tmp_path, table):
    noise = table.copy()
    noise[:, 0] = np.random.default_rng(1).integers(0, 2, len(table))
    train(job(tmp_path, noise, {"_kfold": "2", "num_round": "50", "early_stopping_rounds": "2", "eval_metric": "logloss"}))
    for path in (tmp_path / "model").iterdir():
        assert xgboost.Booster(model_file=path).num_boosted_rounds() < 50


def test_the_models_of_all_folds_answer_together(tmp_path, table):
    train(job(tmp_path, table, {"_kfold": "3"}))
    reply = load(tmp_path / "model", {}).invoke([InferenceRequest(csv.format_rows(table[:2, 1:]), "text/csv")])[0]
    parts = [xgboost.Booster(model_file=path).inplace_predict(table[:2, 1:]) for path in sorted((tmp_path / "model").iterdir())]
    assert list(map(float, reply.body.split())) == np.mean(np.stack(parts), axis=0).tolist()


def test_groups_are_not_cut(tmp_path, table):
    grouped = b"\n".join(line.replace(b" ", b" qid:1 ", 1) for line in libsvm(table).split(b"\n"))
    with pytest.raises(CustomerError, match=r"folds would cut the groups \(qid\)"):
        train(job(tmp_path, table, {"_kfold": "2"}, channels={"train": {"a": grouped}}, content_type="libsvm"))


def test_a_stopped_job_keeps_the_models_so_far(tmp_path, table):
    settings = {"_kfold": "3", "num_round": "1000000", "save_model_on_termination": "true"}
    opt_ml = job(tmp_path, table, settings)
    program = f"from pathlib import Path; from clary.algorithms.hosted.xgboost import train; train(Path({str(opt_ml)!r}))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("[3]"))
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait() == 0
    assert "Stopped after 1 models" in rest
    assert [path.name for path in (opt_ml / "model").iterdir()] == ["xgboost-model-0"]

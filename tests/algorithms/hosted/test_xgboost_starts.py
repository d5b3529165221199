"""Where the XGBoost train program starts from: checkpoints of an earlier run, the model of another job."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import xgboost
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.xgboost import train
from clary.algorithms.hosted.xgboost.checkpoints import KEPT, Checkpoints, SaveCheckpoints
from clary.formats import csv

CHECKPOINT = "xgboost-checkpoint"


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32).round(3)
    return np.column_stack([(X[:, 0] + X[:, 1] + rng.normal(size=300) > 0).astype(np.float32), X])


def job(tmp_path, table, hyperparameters=None, *, checkpoints=True, **options):
    channels = {"train": {"a": csv.format_rows(table[:200])}, "validation": {"b": csv.format_rows(table[200:])}}
    settings = {"num_round": "8", "objective": "binary:logistic", "nthread": "1"} | (hyperparameters or {})
    opt_ml = lay_out(tmp_path, settings, channels | options.pop("channels", {}), **options)
    if checkpoints:
        config = {"S3Uri": "s3://bucket/checkpoints", "LocalPath": "/opt/ml/checkpoints"}
        (opt_ml / "input" / "config" / "checkpointconfig.json").write_text(json.dumps(config))
        (opt_ml / "checkpoints").mkdir()
    return opt_ml


def predictions(opt_ml, table):
    return xgboost.Booster(model_file=opt_ml / "model" / "xgboost-model").predict(xgboost.DMatrix(table[:, 1:]))


def booster_of(table, rounds, **parameters):
    data = xgboost.DMatrix(table[:200, 1:], table[:200, 0])
    return xgboost.train({"objective": "binary:logistic", "nthread": 1} | parameters, data, rounds)


def rounds_in(log):
    return [int(number) for number in re.findall(r"^\[(\d+)\]\t", log, re.MULTILINE)]


def test_the_last_rounds_are_kept_and_the_model_is_the_last(tmp_path, table):
    train(job(tmp_path, table))
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert f"{CHECKPOINT}.7" in names
    assert len(names) <= KEPT
    last = xgboost.Booster(model_file=tmp_path / "checkpoints" / f"{CHECKPOINT}.7")
    np.testing.assert_array_equal(last.predict(xgboost.DMatrix(table[:, 1:])), predictions(tmp_path, table))


def test_training_goes_on_from_the_newest_checkpoint(tmp_path, table, capfd):
    train(job(tmp_path / "whole", table))
    capfd.readouterr()
    opt_ml = job(tmp_path / "resumed", table)
    for number in (2, 4):
        booster_of(table, number + 1).save_model(tmp_path / "part.ubj")
        (tmp_path / "part.ubj").rename(opt_ml / "checkpoints" / f"{CHECKPOINT}.{number}")
    train(opt_ml)
    log = capfd.readouterr().out
    assert "Resuming from iteration 5" in log
    assert rounds_in(log) == [5, 6, 7]
    np.testing.assert_array_equal(predictions(opt_ml, table), predictions(tmp_path / "whole", table))


def test_a_resumed_job_draws_other_rows_than_before(tmp_path, table):
    opt_ml = job(tmp_path, table, {"subsample": "0.5", "num_round": "2", "eta": "1e-6", "base_score": "0.5"})
    booster_of(table, 1, subsample=0.5, eta=1e-6, base_score=0.5).save_model(tmp_path / "part.ubj")
    (tmp_path / "part.ubj").rename(opt_ml / "checkpoints" / f"{CHECKPOINT}.0")
    train(opt_ml)
    first, second = xgboost.Booster(model_file=opt_ml / "model" / "xgboost-model").get_dump()
    assert first != second


def test_damaged_checkpoints_and_other_files_are_left_out(tmp_path, table, capfd):
    opt_ml = job(tmp_path, table)
    booster_of(table, 2).save_model(tmp_path / "part.ubj")
    (tmp_path / "part.ubj").rename(opt_ml / "checkpoints" / f"{CHECKPOINT}.1")
    (opt_ml / "checkpoints" / f"{CHECKPOINT}.6").write_bytes(b"cut off")
    (opt_ml / "checkpoints" / f"{CHECKPOINT}.7.part").write_bytes(b"")
    train(opt_ml)
    log = capfd.readouterr().out
    assert f"Checkpoint {CHECKPOINT}.6 is damaged" in log
    assert rounds_in(log) == [2, 3, 4, 5, 6, 7]


def test_a_job_whose_rounds_are_all_done_saves_the_model_of_the_checkpoint(tmp_path, table, capfd):
    opt_ml = job(tmp_path, table, {"num_round": "3"})
    booster_of(table, 3).save_model(tmp_path / "part.ubj")
    (tmp_path / "part.ubj").rename(opt_ml / "checkpoints" / f"{CHECKPOINT}.2")
    train(opt_ml)
    assert rounds_in(capfd.readouterr().out) == []
    np.testing.assert_array_equal(predictions(opt_ml, table), booster_of(table, 3).predict(xgboost.DMatrix(table[:, 1:])))


def test_early_stopping_remembers_the_best_round_before_the_checkpoint(tmp_path, table):
    settings = {"num_round": "60", "early_stopping_rounds": "6", "eta": "1", "eval_metric": "logloss"}
    train(job(tmp_path / "whole", table, settings))
    opt_ml = job(tmp_path / "resumed", table, settings)
    watched = xgboost.DMatrix(table[200:, 1:], table[200:, 0])
    stopping = xgboost.callback.EarlyStopping(rounds=6, save_best=False)
    booster = xgboost.train(
        {"objective": "binary:logistic", "nthread": 1, "eta": 1, "eval_metric": "logloss"},
        xgboost.DMatrix(table[:200, 1:], table[:200, 0]),
        5,
        evals=[(watched, "validation")],
        callbacks=[stopping],
        verbose_eval=False,
    )
    booster.save_model(tmp_path / "part.ubj")
    (tmp_path / "part.ubj").rename(opt_ml / "checkpoints" / f"{CHECKPOINT}.4")
    train(opt_ml)
    np.testing.assert_array_equal(predictions(opt_ml, table), predictions(tmp_path / "whole", table))


def test_a_killed_job_goes_on_where_it_was(tmp_path, table):
    opt_ml = job(tmp_path, table, {"num_round": "1000000"})
    program = f"from pathlib import Path; from clary.algorithms.hosted.xgboost import train; train(Path({str(opt_ml)!r}))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("[20]"))
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    newest = Checkpoints(opt_ml / "checkpoints").newest()
    assert newest is not None
    (opt_ml / "input" / "config" / "hyperparameters.json").write_text(
        json.dumps({"num_round": str(newest[1] + 2), "objective": "binary:logistic", "nthread": "1"})
    )
    train(opt_ml)
    np.testing.assert_array_equal(
        predictions(opt_ml, table), booster_of(table, newest[1] + 2).predict(xgboost.DMatrix(table[:, 1:]))
    )


def test_without_a_configuration_there_are_no_checkpoints(tmp_path, table):
    train(job(tmp_path, table, checkpoints=False))
    assert not (tmp_path / "checkpoints").exists()


def test_checkpoints_that_cost_too_much_are_left_out_but_the_last(tmp_path, table):
    class Slow(Checkpoints):
        def save(self, booster, number):
            os.stat(tmp_path)
            saved.append(number)

    saved: list[int] = []
    callback = SaveCheckpoints(Slow(tmp_path), 0)
    callback._spent = 1e9
    booster_of_callback = xgboost.train(
        {"nthread": 1}, xgboost.DMatrix(table[:, 1:], table[:, 0]), 6, callbacks=[callback], verbose_eval=False
    )
    assert booster_of_callback.num_boosted_rounds() == 6
    assert saved == [5]


def archive(files: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as target:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))
    return sink.getvalue()


@pytest.mark.parametrize("form", ["archive", "file", "older"])
def test_training_goes_on_from_a_given_model(tmp_path, table, capfd, monkeypatch, form):
    monkeypatch.setenv("CLARY_IMAGE_TAG", "1.7-1")  # its base_score of 0.5 must not replace the model's own
    given = booster_of(table, 4)
    with xgboost.config_context(verbosity=0):
        raw = bytes(given.save_raw("deprecated" if form == "older" else "ubj"))
    files = {"model.tar.gz": archive({"xgboost-model": raw})} if form == "archive" else {"xgboost-model": raw}
    train(job(tmp_path, table, {"tree_method": "hist"}, channels={"model": files}, checkpoints=False))
    log = capfd.readouterr().out
    assert "Going on from a model of 4 rounds" in log
    assert "Saved the model of 12 rounds" in log
    np.testing.assert_allclose(predictions(tmp_path, table), booster_of(table, 12).predict(xgboost.DMatrix(table[:, 1:])), 1e-5)


def test_the_best_round_of_a_given_model_does_not_cut_what_follows(tmp_path, table):
    given = booster_of(table, 4)
    given.set_attr(best_iteration="1", best_score="0.1")
    files = {"model": {"xgboost-model": bytes(given.save_raw("ubj"))}}
    train(job(tmp_path / "plain", table, channels=files, checkpoints=False))
    settings = {"early_stopping_rounds": "2", "num_round": "3", "eval_metric": "logloss"}
    train(job(tmp_path / "stopping", table, settings, channels=files, checkpoints=False))
    plain, stopping = (
        xgboost.Booster(model_file=tmp_path / name / "model" / "xgboost-model") for name in ("plain", "stopping")
    )
    assert plain.attr("best_iteration") is None
    assert int(stopping.attr("best_iteration")) >= 4


def test_a_given_model_can_be_refreshed(tmp_path, table):
    raw = bytes(booster_of(table[50:], 4).save_raw("ubj"))
    settings = {"process_type": "update", "updater": "refresh", "refresh_leaf": "1", "num_round": "4"}
    train(job(tmp_path, table, settings, channels={"model": {"xgboost-model": raw}}, checkpoints=False))
    refreshed = xgboost.Booster(model_file=tmp_path / "model" / "xgboost-model")
    assert refreshed.num_boosted_rounds() == 4


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "Channel model must hold one model, as model.tar.gz or xgboost-model; it holds no file"),
        ({"a": b"1", "b": b"2"}, "it holds a, b"),
        ({"xgboost-model": b"junk"}, "Channel model: Model file xgboost-model cannot be loaded"),
        ({"model.tar.gz": b"junk"}, "model.tar.gz is no archive"),
        (
            {"model.tar.gz": archive({"xgboost-model-0": b"", "xgboost-model-1": b""})},
            "it holds xgboost-model-0, xgboost-model-1",
        ),
    ],
)
def test_a_channel_without_one_model_is_refused(tmp_path, table, files, message):
    with pytest.raises(CustomerError, match=re.escape(message)):
        train(job(tmp_path, table, channels={"model": files}, checkpoints=False))


def test_a_model_of_other_columns_is_refused(tmp_path, table):
    raw = bytes(booster_of(table[:, :4], 2).save_raw("ubj"))
    with pytest.raises(CustomerError, match="Channel model: its model was trained on 3 columns where train has 4"):
        train(job(tmp_path, table, channels={"model": {"xgboost-model": raw}}, checkpoints=False))

"""The XGBoost train program: what it learns, prints and saves, and what it says about mistakes."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import xgboost
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.xgboost import data, parameters, train
from clary.catalog.builtin.xgboost import ALGORITHM
from clary.formats import csv, records

ROWS = 300
LINE = re.compile(r"\[(\d+)\]\ttrain-(\S+?):(\S+)\tvalidation-\2:(\S+)")


@pytest.fixture(scope="module")
def table():
    """(rows, 5) float32: a label that two of four features decide."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 4)).astype(np.float32).round(3)
    return np.column_stack([(X[:, 0] + X[:, 1] > 0).astype(np.float32), X])


@pytest.fixture
def image(monkeypatch):
    return lambda tag: monkeypatch.setenv("CLARY_IMAGE_TAG", tag)


def job(tmp_path, table, hyperparameters=None, **options) -> Path:
    data = csv.format_rows(table)
    given = {"num_round": "5", "objective": "binary:logistic", "nthread": "1"} | (hyperparameters or {})
    given = {name: value for name, value in given.items() if value is not None}
    return lay_out(
        tmp_path, given, options.pop("channels", {"train": {"a.csv": data}, "validation": {"b.csv": data}}), **options
    )


def model_of(opt_ml: Path) -> xgboost.Booster:
    return xgboost.Booster(model_file=opt_ml / "model" / "xgboost-model")


def predictions(opt_ml: Path, table) -> np.ndarray:
    return model_of(opt_ml).predict(xgboost.DMatrix(table[:, 1:]))


@pytest.mark.parametrize("tag", [tag for tags in ALGORITHM.repositories.values() for tag in tags])
def test_every_image_trains_a_model_that_plain_xgboost_opens(tmp_path, table, image, capfd, tag):
    image(tag)
    opt_ml = job(tmp_path, table)
    train(opt_ml)
    assert ((predictions(opt_ml, table) > 0.5) == table[:, 0]).mean() > 0.9
    log = capfd.readouterr().out
    assert f"image tag {tag}, trained by XGBoost {xgboost.__version__}" in log.splitlines()[0]
    assert [int(line[1]) for line in LINE.finditer(log)] == [0, 1, 2, 3, 4]


def test_metric_lines_carry_the_metrics_that_the_declaration_reads(tmp_path, table, capfd):
    train(job(tmp_path, table, {"eval_metric": "logloss,accuracy,f1"}))
    log = capfd.readouterr().out
    found = {
        metric.name: [match[1] for line in log.splitlines() if (match := re.match(metric.regex, line))]
        for metric in ALGORITHM.metrics
    }
    assert {name for name, values in found.items() if values} == {
        f"{data}:{metric}" for data in ("train", "validation") for metric in ("logloss", "accuracy", "f1")
    }
    assert all(len(values) in (0, 5) for values in found.values())


@pytest.mark.parametrize(("tag", "metric"), [("1.2-2", "error"), ("1.3-1", "logloss")])
def test_the_default_metric_is_that_of_the_version(tmp_path, table, image, capfd, tag, metric):
    image(tag)
    train(job(tmp_path, table))
    assert {line[2] for line in LINE.finditer(capfd.readouterr().out)} == {metric}


def test_the_model_is_the_library_s_with_the_same_parameters(tmp_path, table):
    train(job(tmp_path, table, {"seed": "3", "subsample": "0.7"}))
    parameters = {"objective": "binary:logistic", "seed": 3, "subsample": 0.7, "nthread": 1}
    plain = xgboost.train(parameters, xgboost.DMatrix(table[:, 1:], table[:, 0]), 5)
    np.testing.assert_array_equal(predictions(tmp_path, table), plain.predict(xgboost.DMatrix(table[:, 1:])))


def libsvm(table) -> bytes:
    rows = (" ".join([f"{row[0]:g}", *(f"{column}:{value}" for column, value in enumerate(row[1:]))]) for row in table)
    return "\n".join(rows).encode()


def parquet_file(table) -> bytes:
    sink = io.BytesIO()
    columns = {f"column {number}": column for number, column in enumerate(table.T)}
    pyarrow.parquet.write_table(pyarrow.table(columns), sink, row_group_size=64)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("content_type", "write"),
    [
        ("text/csv", csv.format_rows),
        ("csv", csv.format_rows),
        ("text/csv;label_size=1;charset=utf8", csv.format_rows),
        (None, libsvm),
        ("libsvm", libsvm),
        ("text/x-libsvm", libsvm),
        ("application/x-recordio-protobuf", lambda table: records.write(table[:, 1:], table[:, 0])),
        ("application/x-parquet", parquet_file),
        ("parquet", parquet_file),
    ],
)
def test_every_format_gives_the_same_model(tmp_path, table, content_type, write):
    train(job(tmp_path / "csv", table))
    channels = {"train": {"part": write(table)}, "validation": {"part": write(table)}}
    train(job(tmp_path / "other", table, channels=channels, content_type=content_type))
    np.testing.assert_allclose(predictions(tmp_path / "other", table), predictions(tmp_path / "csv", table), rtol=1e-6)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.parametrize(
    ("content_type", "write"),
    [
        ("text/csv", csv.format_rows),
        ("application/x-recordio-protobuf", lambda table: records.write(table[:, 1:], table[:, 0])),
        ("application/x-parquet", lambda table: parquet_file(table[:100]) + parquet_file(table[100:])),
    ],
)
def test_pipe_mode_reads_the_first_epoch_of_each_channel(tmp_path, table, content_type, write):
    train(job(tmp_path / "file", table, channels={"train": {"a": csv.format_rows(table)}}))
    opt_ml = job(tmp_path / "pipe", table, channels={"train": {}}, mode="Pipe", content_type=content_type)
    pipe = opt_ml / "input" / "data" / "train_0"
    os.mkfifo(pipe)
    feeder = threading.Thread(target=lambda: pipe.write_bytes(write(table)))
    feeder.start()
    train(opt_ml)
    feeder.join()
    np.testing.assert_allclose(predictions(opt_ml, table), predictions(tmp_path / "file", table), rtol=1e-6)


@pytest.mark.parametrize("tag", ["3.0-5", "1.7-1"])  # bins alone, exact trees
def test_rows_that_wait_in_a_file_give_the_same_model(tmp_path, table, image, monkeypatch, tag):
    image(tag)
    channels = {"train": {part: csv.format_rows(rows) for part, rows in zip("abc", np.array_split(table, 3), strict=True)}}
    train(job(tmp_path / "memory", table, channels=channels))
    monkeypatch.setattr(data, "IN_MEMORY_BYTES", 2000)
    train(job(tmp_path / "file", table, channels=channels))
    np.testing.assert_array_equal(predictions(tmp_path / "file", table), predictions(tmp_path / "memory", table))


def test_a_weight_column_changes_the_model(tmp_path, table):
    weighted = np.insert(table, 1, np.where(table[:, 0] == 1, 50, 1), axis=1)
    channels = {"train": {"a": csv.format_rows(weighted)}}
    train(job(tmp_path / "weighted", table, {"csv_weights": "1"}, channels=channels))
    train(job(tmp_path / "plain", table))
    assert predictions(tmp_path / "weighted", table).mean() > predictions(tmp_path / "plain", table).mean()


@pytest.mark.parametrize("settings", [{}, {"_tuning_objective_metric": "validation:accuracy"}, {"eval_metric": "auc,logloss"}])
def test_early_stopping_keeps_the_best_round(tmp_path, table, capfd, settings):
    rng = np.random.default_rng(5)
    noise = np.column_stack([rng.integers(0, 2, ROWS), table[:, 1:]]).astype(np.float32)
    channels = {"train": {"a": csv.format_rows(noise[:200])}, "validation": {"b": csv.format_rows(noise[200:])}}
    train(job(tmp_path, table, {"num_round": "60", "early_stopping_rounds": "4"} | settings, channels=channels))
    watched = settings.get("_tuning_objective_metric", "validation:logloss").split(":")[1]
    values = [float(value) for value in re.findall(rf"validation-{watched}:(\S+)", capfd.readouterr().out)]
    best = int(np.argmax(values) if watched == "accuracy" else np.argmin(values))
    assert model_of(tmp_path).num_boosted_rounds() == best + 1 < 60


def test_multiclass_trains_with_the_container_s_metrics(tmp_path, table, capfd):
    labelled = np.column_stack([np.digitize(table[:, 1], [-0.5, 0.5]), table[:, 1:]])
    channels = {"train": {"a": csv.format_rows(labelled)}}
    settings = {"objective": "multi:softprob", "num_class": "3", "eval_metric": "mlogloss,balanced_accuracy,precision_macro"}
    train(job(tmp_path, table, settings, channels=channels))
    log = capfd.readouterr().out
    assert re.search(r"\[4\]\ttrain-mlogloss:\S+\ttrain-balanced_accuracy:\S+\ttrain-precision_macro:\S+", log)
    assert predictions(tmp_path, labelled).shape == (ROWS, 3)


def test_regression_and_linear_boosters_train(tmp_path, table, capfd):
    train(job(tmp_path, table, {"objective": "reg:linear", "booster": "gblinear", "eval_metric": "rmse,r2,mse"}))
    assert "train-r2" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("objective", "metric"),
    [
        ("survival:aft", "aft-nloglik,interval-regression-accuracy"),
        ("survival:cox", "cox-nloglik"),
        ("reg:tweedie", "tweedie-nloglik"),
        ("reg:gamma", "gamma-deviance,gamma-nloglik"),
        ("count:poisson", "poisson-nloglik"),
        ("rank:pairwise", "ndcg"),
        ("rank:map", "map"),
        ("reg:pseudohubererror", "mphe,mae,mape"),
        ("reg:squaredlogerror", "rmsle"),
        ("reg:absoluteerror", "mae"),
        ("binary:hinge", "error"),
        ("binary:logitraw", "auc,aucpr,accuracy"),
    ],
)
def test_every_kind_of_objective_trains_with_its_metrics(tmp_path, table, capfd, objective, metric):
    positive = np.column_stack([table[:, 0] if objective.startswith(("binary", "rank:map")) else table[:, 0] + 1, table[:, 1:]])
    channels = {"train": {"a": csv.format_rows(positive)}}
    train(job(tmp_path, table, {"objective": objective, "eval_metric": metric}, channels=channels))
    log = capfd.readouterr().out
    assert all(f"\ttrain-{name}:" in log for name in metric.split(","))


def test_a_stopped_job_keeps_the_model_so_far(tmp_path, table):
    opt_ml = job(tmp_path, table, {"num_round": "1000000", "save_model_on_termination": "true"})
    program = f"from pathlib import Path; from clary.algorithms.hosted.xgboost import train; train(Path({str(opt_ml)!r}))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        rounds = (line for line in process.stdout if line.startswith("[3]"))
        next(rounds)
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait() == 0
    assert model_of(opt_ml).num_boosted_rounds() > 3


def spoiled(table, row, column, value) -> bytes:
    lines = csv.format_rows(table).decode().splitlines()
    cells = lines[row].split(",")
    cells[column] = value
    lines[row] = ",".join(cells)
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({"eta": "3"}, {}, "Hyperparameter eta: value 3 not in range [0, 1]"),
        ({"num_round": None}, {}, "Missing required hyperparameter: num_round"),
        (
            {"_kfold": "301"},
            {"channels": {"train": {"a": b"1,2\n0,3\n"}}},
            "Hyperparameter _kfold: 301 folds need as many rows; there are 2",
        ),
        (
            {"_kfold": "2", "objective": "rank:ndcg"},
            {},
            "Hyperparameter _kfold: folds would cut the groups of a ranking objective",
        ),
        (
            {"_kfold": "2"},
            {"hosts": 2},
            "Hyperparameter _kfold: cross validation needs all rows on one host; set InstanceCount to 1",
        ),
        ({"tree_method": "exact"}, {"hosts": 2}, "Hyperparameter tree_method: exact trees need all rows on one host"),
        ({"booster": "gblinear"}, {"hosts": 2}, "Hyperparameter booster: gblinear needs all rows on one host"),
        ({"updater": "distcol"}, {}, "Hyperparameter updater: distcol does not exist in the installed XGBoost"),
        ({"use_dask_gpu_training": "true"}, {}, "Hyperparameter use_dask_gpu_training: tree_method must be hist or gpu_hist"),
        ({}, {"channels": {"train": {"a": b"1,2\n0,3\n"}, "model": {}}}, "Channel model must hold one model"),
        ({}, {"channels": {"validation": {"b": b"1,2\n"}}}, "Missing required channel: train"),
        ({}, {"channels": {"train": {"a": b"1,2\n"}, "test": {"b": b"1,2\n"}}}, "Extraneous channel found: test"),
        ({}, {"channels": {"train": {}}}, "No data in train channel"),
        ({}, {"channels": {"train": {"_SUCCESS": b"", ".a": b"1,2\n"}}}, "No data in train channel"),
        ({}, {"channels": {"train": {"a": b"\n\n"}}}, "No data in train channel: it holds no rows"),
        ({}, {"content_type": "application/json"}, "application/json is not an accepted ContentType: csv, text/csv, libsvm"),
        ({}, {"content_type": "parquet"}, "Failed to load data of channel train: a.csv cannot be read as Parquet: "),
        ({}, {"content_type": "text/csv;label_size=2"}, "text/csv;label_size=2 is not an accepted csv ContentType."),
        ({}, {"content_type": None}, "Failed to load data of channel train: a.csv, row 1: "),
        ({}, {"content_type": "libsvm", "mode": "Pipe"}, "Pipe mode not supported for LibSVM."),
        ({}, {"channels": {"train": {"a": b"1\n0\n"}}}, "Failed to load data of channel train: a has 1 column(s), too few"),
        (
            {},
            {"channels": {"train": {"a": b"1,2\n0,3\n"}, "validation": {"b": b"1,2,3\n"}}},
            "Channel validation has 2 feature columns where train has 1",
        ),
        (
            {},
            {"channels": {"train": {"a": b"1,2\n3,3\n"}}},
            "Channel train: label must be in [0,1] for logistic regression; row 2 has 3",
        ),
        ({}, {"channels": {"train": {"a": b"1,2\n,3\n"}}}, "Channel train: row 2 has no finite label"),
        (
            {"objective": "multi:softmax", "num_class": "2"},
            {"channels": {"train": {"a": b"1,2\n2,3\n"}}},
            "Channel train: label must be in [0, num_class), num_class is 2; row 2 has 2",
        ),
        (
            {"objective": "count:poisson"},
            {"channels": {"train": {"a": b"1,2\n-2,3\n"}}},
            "Channel train: label must be nonnegative for count:poisson; row 2 has -2",
        ),
        ({}, {"channels": {"train": {"a": b"1,2\n0,inf\n"}}}, "Input data contains `inf`"),
        ({"base_score": "3"}, {}, "XGBoost: base_score must be in (0,1)"),
        ({}, {"channels": {"train": {"a": b"1,2\n1,3\n"}}}, "all labels of the train channel are the same"),
        (
            {"monotone_constraints": "(1,0,0,0,1)", "tree_method": "hist"},
            {},
            "XGBoost: The size of monotone constraint should be less or equal to the number of features.",
        ),
        (
            {"csv_weights": "1"},
            {"channels": {"train": {"a": b"1,-1,2\n0,1,3\n"}}},
            "XGBoost: Weights must be positive values.",
        ),
        (
            {},
            {"channels": {"train": {"a": b"1 70000000:1\n0 1:1\n"}}, "content_type": "libsvm"},
            "Channel train has feature index 70000000; XGBoost takes indices below 67108864",
        ),
        (
            {},
            {"channels": {"train": {"a": b"1 9999999999:1\n0 1:1\n"}}, "content_type": "libsvm"},
            "a, row 1: '9999999999:1' is not `index:value`",
        ),
        (
            {"objective": "multi:softprob", "num_class": "3", "eval_metric": "precision"},
            {"channels": {"train": {"a": b"0,2\n1,3\n2,4\n"}}},
            "Target is multiclass but average='binary'",
        ),
    ],
)
def test_the_user_s_mistakes_are_named_with_their_fix(tmp_path, table, settings, options, message):
    opt_ml = job(tmp_path, table, settings, **options)
    with pytest.raises(CustomerError, match=re.escape(message)):
        train(opt_ml)
    assert not (opt_ml / "model" / "xgboost-model").exists()


def test_a_text_cell_is_named_with_file_row_and_column(tmp_path, table):
    channels = {"train": {"good.csv": csv.format_rows(table), "more/spoiled.csv": spoiled(table, 6, 2, "high")}}
    with pytest.raises(CustomerError, match=r"more/spoiled\.csv, row 7, column 3: 'high' is not a number; encode"):
        train(job(tmp_path, table, channels=channels))


@pytest.mark.skipif(xgboost.build_info()["USE_CUDA"], reason="this XGBoost may use a GPU")
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"tree_method": "gpu_hist"}, "tree_method gpu_hist"),
        ({"predictor": "gpu_predictor"}, "predictor gpu_predictor"),
        ({"use_dask_gpu_training": "true", "tree_method": "hist"}, "use_dask_gpu_training"),
    ],
)
def test_without_a_gpu_what_needs_one_is_refused(tmp_path, table, settings, named):
    with pytest.raises(CustomerError, match=f"{named} needs a GPU, but the installed XGBoost .* is built without CUDA"):
        train(job(tmp_path, table, settings))


def test_old_names_of_gpu_training_become_the_library_s_device():
    for settings in ({"tree_method": "gpu_hist"}, {"tree_method": "hist", "use_dask_gpu_training": "true"}):
        taken = parameters.library_parameters(settings, (1, 5), rows=10)
        assert (taken["tree_method"], taken["device"]) == ("hist", "cuda")
    assert "device" not in parameters.library_parameters({"tree_method": "hist"}, (1, 5), rows=10)


def test_values_written_as_json_are_read(tmp_path, table):
    train(job(tmp_path, table, {"objective": '"binary:logistic"', "num_round": '"3"'}))
    assert model_of(tmp_path).num_boosted_rounds() == 3


def test_names_without_effect_are_said_in_the_log(tmp_path, table, image, capfd):
    image("1.0-1")
    train(job(tmp_path, table, {"silent": "1", "sketch_eps": "0.1"}))
    log = capfd.readouterr().out
    assert "Hyperparameter silent has no effect" in log
    assert "Hyperparameter sketch_eps has no effect" in log

"""The linear learner's programs: what they print and save, how requests are answered, what they say about mistakes."""

from __future__ import annotations

import json
import os
import re
import threading
import zipfile

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn import metrics as sk_metrics
from sklearn.linear_model import LogisticRegression
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.linear_learner import load, sampling, train
from clary.algorithms.linear import losses
from clary.catalog.builtin.linear_learner import ALGORITHM
from clary.core.inference import InferenceRequest
from clary.formats import csv, ndarray_list, records
from clary.formats.batch import Batch

ROWS, COLUMNS = 600, 4
RECORDS = "application/x-recordio-protobuf"


@pytest.fixture(scope="module")
def table():
    """(ROWS, 1 + COLUMNS) float32: a label of two classes, and features with offsets and scales."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, COLUMNS))
    y = rng.random(ROWS) < losses.sigmoid(3 * X[:, 0] - 2 * X[:, 1] + 1)
    return np.column_stack([y, X * [1, 10, 0.1, 1] + [5, -3, 0, 100]]).astype(np.float32)


def several(table, classes=3):
    """The same rows with labels 0 to classes - 1."""
    rng = np.random.default_rng(1)
    scores = (table[:, 1:] - table[:, 1:].mean(axis=0)) / table[:, 1:].std(axis=0)
    labels = (3 * scores[:, :classes] + rng.gumbel(size=(len(table), classes))).argmax(axis=1)
    return np.column_stack([labels, table[:, 1:]]).astype(np.float32)


def numbers(table):
    """The same rows with real labels."""
    noise = np.random.default_rng(1).normal(size=len(table))
    return np.column_stack([50 + 3 * table[:, 1] - table[:, 2] + noise, table[:, 1:]]).astype(np.float32)


def job(tmp_path, table, hyperparameters=None, *, channels=("train", "validation", "test"), **options):
    given = {"predictor_type": "binary_classifier", "mini_batch_size": "50", "epochs": "3", "num_models": "4"}
    given = {name: value for name, value in (given | (hyperparameters or {})).items() if value is not None}
    data = {channel: {"a.csv": csv.format_rows(table)} for channel in channels}
    return lay_out(tmp_path, given, options.pop("data", data), **options)


def found_metrics(log: str) -> dict[str, list[float]]:
    matches = {metric.name: re.findall(metric.regex, log) for metric in ALGORITHM.metrics}
    return {name: [float(value) for value in values] for name, values in matches.items() if values}


def answer(opt_ml, body, content_type="text/csv", accept=""):
    (response,) = load(opt_ml / "model", {}).invoke([InferenceRequest(body, content_type, accept)])
    assert response.status == 200, response.body
    return response


def test_two_classes_are_learned_as_well_as_can_be(tmp_path, table, capfd):
    train(job(tmp_path, table, {"num_models": None, "epochs": "30", "mini_batch_size": "20"}))
    metrics = found_metrics(capfd.readouterr().out)
    X, y = (table[:, 1:] - table[:, 1:].mean(axis=0)) / table[:, 1:].std(axis=0), table[:, 0]
    reference = LogisticRegression().fit(X, y)
    best = sk_metrics.accuracy_score(y, reference.predict(X))
    assert metrics["test:binary_classification_accuracy"][0] >= best - 0.005
    assert metrics["test:roc_auc_score"][0] >= sk_metrics.roc_auc_score(y, reference.decision_function(X)) - 0.005


@pytest.mark.parametrize(
    ("predictor", "names"),
    [
        ("binary_classifier", {"binary_classification_accuracy", "binary_f_beta", "precision", "recall", "roc_auc_score"}),
        (
            "multiclass_classifier",
            {
                "multiclass_accuracy",
                "multiclass_top_k_accuracy",
                "dcg",
                "macro_recall",
                "macro_precision",
                "macro_f_beta",
                "multiclass_balanced_accuracy",
                "multiclass_log_loss",
            },
        ),
        ("regressor", {"mse", "rmse", "absolute_loss"}),
    ],
)
def test_the_log_carries_the_declared_metrics(tmp_path, table, capfd, predictor, names):
    rows = {"binary_classifier": table, "multiclass_classifier": several(table), "regressor": numbers(table)}[predictor]
    classes = {"num_classes": "3"} if predictor == "multiclass_classifier" else {}
    train(job(tmp_path, rows, {"predictor_type": predictor, **classes}))
    metrics = found_metrics(capfd.readouterr().out)
    expected = {f"{channel}:{name}" for channel in ("train", "validation", "test") for name in names}
    expected |= {f"{channel}:objective_loss" for channel in ("train", "validation", "test")}
    expected |= {"train:objective_loss:final", "validation:objective_loss:final", "train:progress", "train:throughput"}
    assert set(metrics) == expected
    assert [len(metrics[f"{channel}:objective_loss"]) for channel in ("train", "validation", "test")] == [3, 3, 1]
    assert metrics["train:progress"] == pytest.approx([100 / 3, 200 / 3, 100])
    assert metrics["validation:objective_loss:final"][0] == pytest.approx(min(metrics["validation:objective_loss"]), rel=1e-2)


def test_the_log_says_what_the_hosted_one_says(tmp_path, table, capfd):
    train(job(tmp_path, table))
    log = capfd.readouterr().out
    assert log.startswith("Docker entrypoint called with argument(s): train\n")
    for words in (
        r"Scaling model parameters: {\"stdev_weight\": \[",
        r"#early_stopping_criteria_metric: host=algo-1, epoch=2, criteria=sampled_accuracy, value=0\.\d+",
        r"Best model found for hyperparameters: {\"learning_rate\": ",
        r"#validation_score \(algo-1\) : \('binary_classification_accuracy', 0\.\d+\)",
        r"#quality_metric: host=algo-1, validation binary_f_1.000 <score>=0\.\d+",
    ):
        assert re.search(words, log), words
    documents = [json.loads(line.removeprefix("#metrics ")) for line in log.splitlines() if line.startswith("#metrics")]
    assert {(each["Dimensions"]["epoch"], each["Dimensions"]["model"]) for each in documents} == {
        (epoch, model) for epoch in range(3) for model in range(4)
    }
    assert "validation_binary_classification_cross_entropy_objective" in documents[0]["Metrics"]


def test_answers_are_those_of_the_saved_weights_on_raw_rows(tmp_path, table):
    train(job(tmp_path, table))
    with zipfile.ZipFile(tmp_path / "model" / "model_algo-1") as archive:
        assert sorted(archive.namelist()) == [
            "additional-params.json",
            "manifest.json",
            "mx-mod-0000.params",
            "mx-mod-symbol.json",
        ]
        arrays = ndarray_list.read(archive.read("mx-mod-0000.params"))
        threshold = json.loads(archive.read("additional-params.json"))["threshold"]
    scores = losses.sigmoid(table[:, 1:] @ arrays["arg:fc0_weight"][0] + arrays["arg:fc0_bias"])
    predictions = json.loads(answer(tmp_path, csv.format_rows(table[:, 1:])).body)["predictions"]
    np.testing.assert_allclose([each["score"] for each in predictions], scores, atol=1e-3)
    assert [each["predicted_label"] for each in predictions] == [int(each["score"] > threshold) for each in predictions]


def known_model(tmp_path, table, predictor, **hyperparameters):
    """A model whose weights are replaced by round numbers, so that answers are known to the byte."""
    rows = {"binary_classifier": table, "multiclass_classifier": several(table), "regressor": numbers(table)}[predictor]
    train(job(tmp_path, rows, {"predictor_type": predictor, "epochs": "1", **hyperparameters}, channels=("train",)))
    path = tmp_path / "model" / "model_algo-1"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    outputs = 3 if predictor == "multiclass_classifier" else 1
    weights = np.zeros((outputs, COLUMNS), np.float32)
    weights[:, 0] = np.arange(1, outputs + 1)
    members["mx-mod-0000.params"] = ndarray_list.write({"arg:fc0_weight": weights, "arg:fc0_bias": np.zeros(outputs)})
    more = json.loads(members["additional-params.json"]) | {"bias": [0.0] * outputs, "threshold": 0.6}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"additional-params.json": json.dumps(more)}).items():
            archive.writestr(name, content)
    return tmp_path


BODIES = {
    "text/csv": b"0,1,2,3\n40,0,0,0\n",
    "application/json": b'{"instances":[{"features":[0,1,2,3]},{"data":{"features":{"values":[40,0,0,0]}}}]}',
    "application/jsonlines": b'{"data":{"features":{"keys":[1,2,3],"shape":[4],"values":[1,2,3]}}}\n'
    b'{"data":{"features":{"keys":[0],"shape":[4],"values":[40]}}}\n',
    RECORDS: records.write(np.array([[0, 1, 2, 3], [40, 0, 0, 0]], np.float32)),
}


@pytest.mark.parametrize("content_type", BODIES)
def test_the_bytes_of_answers(tmp_path, table, content_type):
    opt_ml = known_model(tmp_path, table, "binary_classifier")
    inner = b'{"score":0.5,"predicted_label":0}', b'{"score":1.0,"predicted_label":1}'
    expected = {
        "application/json": b'{"predictions":[' + b",".join(inner) + b"]}",
        "application/jsonlines": b"\n".join(inner) + b"\n",
        "text/csv": b"0.5,0\n1.0,1\n",
    }
    for accept, body in expected.items():
        assert answer(opt_ml, BODIES[content_type], content_type, accept).body == body
    answered = answer(opt_ml, BODIES[content_type], content_type, RECORDS)
    assert answered.content_type == RECORDS
    assert b"score" in answered.body
    assert b"predicted_label" in answered.body


def test_answers_of_several_classes_and_of_numbers(tmp_path, table):
    body = b"0,0,0,0\n100,0,0,0\n"
    opt_ml = known_model(tmp_path / "classes", table, "multiclass_classifier", num_classes="3")
    first, second = json.loads(answer(opt_ml, body).body)["predictions"]
    assert first == {"score": pytest.approx([1 / 3] * 3), "predicted_label": 0}
    assert second == {"score": pytest.approx([0, 0, 1]), "predicted_label": 2}
    opt_ml = known_model(tmp_path / "numbers", table, "regressor")
    assert answer(opt_ml, body).body == b'{"predictions":[{"score":0.0},{"score":100.0}]}'


def test_bad_requests_do_not_spoil_their_neighbours(tmp_path, table):
    model = load(known_model(tmp_path, table, "binary_classifier") / "model", {})
    bodies = [b"0,0,0,0", b"1,2", b"a,b,c,d", b"nan,0,0,0"]
    responses = model.invoke([InferenceRequest(body, "text/csv", "") for body in bodies])
    assert [response.status for response in responses] == [200, 400, 400, 400]
    assert b"2 features where the model has 4" in responses[1].body
    assert model.invoke([InferenceRequest(b"0,0,0,0", "image/png", "")])[0].status == 415


@pytest.mark.parametrize("criterion", ["precision_at_target_recall", "recall_at_target_precision", "f_beta", "f1", "accuracy"])
def test_the_threshold_serves_the_criterion(tmp_path, table, capfd, criterion):
    targets = {"target_recall": "0.97", "target_precision": "0.97", "f_beta": "2"}
    given = {"binary_classifier_model_selection_criteria": criterion, "loss": "logistic", **targets}
    train(job(tmp_path, table, given))
    metrics = {name: values[0] for name, values in found_metrics(capfd.readouterr().out).items()}
    if criterion == "precision_at_target_recall":
        assert metrics["validation:recall"] >= 0.97 > metrics["validation:precision"]
    if criterion == "recall_at_target_precision":
        assert metrics["validation:precision"] >= 0.97 > metrics["validation:recall"]
    if criterion == "f_beta":
        assert metrics["validation:recall"] > metrics["validation:precision"]
    if criterion in ("f1", "accuracy"):
        assert metrics["validation:binary_f_beta"] > 0.85


def test_loss_function_leaves_the_threshold(tmp_path, table):
    train(job(tmp_path, table, {"binary_classifier_model_selection_criteria": "loss_function"}, channels=("train",)))
    with zipfile.ZipFile(tmp_path / "model" / "model_algo-1") as archive:
        assert json.loads(archive.read("additional-params.json"))["threshold"] == 0.5


def test_the_log_names_hyperparameters_without_effect(tmp_path, table, capfd):
    train(job(tmp_path, table, {"quantile": "0.3", "momentum": "0.5", "beta_1": "0.8", "init_sigma": "1"}))
    assert "Hyperparameters without effect beside the others: quantile, momentum, init_sigma\n" in capfd.readouterr().out


def test_hyperparameters_with_effect_are_not_named(tmp_path, table, capfd):
    given = {"predictor_type": "regressor", "loss": "quantile_loss", "quantile": "0.3", "optimizer": "sgd", "momentum": "0.5"}
    train(job(tmp_path, numbers(table), given))
    assert "without effect" not in capfd.readouterr().out


def test_without_a_bias_there_is_none(tmp_path, table):
    given = {"use_bias": "false", "init_bias": "3", "normalize_data": "false"}
    train(job(tmp_path, table, given, channels=("train",)))
    with zipfile.ZipFile(tmp_path / "model" / "model_algo-1") as archive:
        assert json.loads(archive.read("additional-params.json"))["bias"] == [0.0]


def test_a_tuning_job_trains_one_model(tmp_path, table, capfd):
    given = {"num_models": "auto", "_tuning_objective_metric": "validation:objective_loss", "learning_rate": "0.02"}
    train(job(tmp_path, table, given))
    log = capfd.readouterr().out
    assert '"model": 0' in log
    assert '"model": 1' not in log
    assert 'hyperparameters: {"learning_rate": 0.02' in log


def test_automatic_jobs_train_32_models(tmp_path, table, capfd):
    train(job(tmp_path, table, {"num_models": "auto", "epochs": "1"}))
    assert '"model": 31' in capfd.readouterr().out


def test_the_best_is_chosen_by_validation_rows(tmp_path, table, capfd):
    other = table.copy()
    other[:, 0] = 1 - other[:, 0]  # what is learned is wrong there, and least wrong where little is learned
    data = {"train": {"a.csv": csv.format_rows(table)}, "validation": {"b.csv": csv.format_rows(other)}}
    given = {"num_models": "32", "binary_classifier_model_selection_criteria": "loss_function", "wd": "auto"}
    train(job(tmp_path, table, given, data=data))
    best = json.loads(re.search(r"for hyperparameters: (\{.*\})", capfd.readouterr().out)[1])
    assert best["wd"] >= 0.1 or best["learning_rate"] == 0.005


def test_training_stops_early(tmp_path, table, capfd):
    train(job(tmp_path, table, {"epochs": "200", "early_stopping_tolerance": "0.01"}))
    log = capfd.readouterr().out
    assert "Early stop condition met. Stopping training." in log
    assert len(found_metrics(log)["train:progress"]) < 60


def sparse_table(rng):
    X = csr_matrix(rng.normal(size=(ROWS, 50)) * (rng.random((ROWS, 50)) < 0.1), dtype=np.float32)
    return X, (X[:, 0].toarray()[:, 0] - X[:, 1].toarray()[:, 0] > 0).astype(np.float32)


@pytest.mark.parametrize("feature_dim", ["auto", "50"])
def test_sparse_records_in_and_out(tmp_path, feature_dim):
    X, y = sparse_table(np.random.default_rng(0))
    data = {"train": {"a.pbr": records.write(X, y)}}
    given = {"predictor_type": "binary_classifier", "feature_dim": feature_dim, "mini_batch_size": "50"}
    train(lay_out(tmp_path, given, data, content_type=RECORDS))
    body = records.write(X[:20])
    dense = json.loads(answer(tmp_path, csv.format_rows(X[:20].toarray())).body)["predictions"]
    sparse = json.loads(answer(tmp_path, body, RECORDS, "application/json").body)["predictions"]
    assert [each["score"] for each in sparse] == pytest.approx([each["score"] for each in dense], abs=1e-6)


def test_pipes_are_read_an_epoch_after_the_other(tmp_path, table, capfd):
    opt_ml = job(tmp_path, table, {"epochs": "2"}, mode="Pipe", data={"train": {}, "validation": {}})
    feeders = []
    for channel, openings in (("train", 2), ("validation", 3)):
        for epoch in range(openings):
            pipe = opt_ml / "input" / "data" / f"{channel}_{epoch}"
            os.mkfifo(pipe)
            feeders.append(threading.Thread(target=pipe.write_bytes, args=[csv.format_rows(table)], daemon=True))
            feeders[-1].start()
    train(opt_ml)
    for feeder in feeders:
        feeder.join()
    assert len(found_metrics(capfd.readouterr().out)["validation:objective_loss"]) == 2


def test_equal_jobs_make_equal_models(tmp_path, table):
    for name in ("one", "two"):
        train(job(tmp_path / name, table))
    one, two = ((tmp_path / name / "model" / "model_algo-1").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({"predictor_type": None}, "u'predictor_type' is a required property"),
        ({"predictor_type": "clustering"}, "predictor_type"),
        ({"learning_speed": "1"}, r"Additional properties are not allowed \(u'learning_speed' was unexpected\)"),
        ({"epochs": "0"}, "epochs"),
        ({"wd": "-1"}, "wd"),
        ({"positive_example_weight_mult": "heavy"}, "positive_example_weight_mult"),
        ({"predictor_type": "multiclass_classifier"}, "num_classes"),
        ({"loss": "squared_loss"}, "loss squared_loss does not go with predictor_type binary_classifier"),
        ({"feature_dim": "9"}, "channel 'train'.*a.csv.*4 features where feature_dim is 9"),
        ({"predictor_type": "regressor", "optimizer": "sgd", "learning_rate": "1e9"}, "use a lower learning_rate"),
    ],
)
def test_mistakes_in_hyperparameters(tmp_path, table, hyperparameters, words):
    rows = numbers(table) if hyperparameters.get("predictor_type") == "regressor" else table
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, rows, hyperparameters))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "No data in train channel"),
        (b"0,1,2,3,4\n1,1,two,3,4\n", "a.csv, row 2"),
        (b"0,1,2,3,4\n1,1,2\n", "a.csv"),
        (b"0,1,2,3,4\n1,1,nan,3,4\n", "feature 1 is missing or not a finite number"),
        (b"0,1,2,3,4\n2,1,2,3,4\n", "row 2: the label is 2; it must be a whole number from 0 to 1"),
        (b"1,1,2,3,4\n1,1,2,3,5\n", "all labels are 1; a binary_classifier needs rows of at least two classes"),
    ],
)
def test_mistakes_in_the_data(tmp_path, table, content, words):
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, table, data={"train": {"a.csv": content}}))


def test_a_file_that_is_no_model_is_named(tmp_path):
    with pytest.raises(ValueError, match="the model archive holds no model file"):
        load(tmp_path, {})
    (tmp_path / "model_algo-1").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="model_algo-1 is no linear learner model"):
        load(tmp_path, {})


def test_the_reservoir_keeps_every_batch_as_likely():
    counts = np.zeros(30)
    for seed in range(300):
        batches = [Batch(np.full((100, 1000), i, np.float32), np.zeros(100, np.float32)) for i in range(30)]
        reservoir = sampling.Reservoir(400, batches[0], seed)
        assert list(reservoir.watch(batches)) == batches
        for kept in reservoir.batches:
            counts[int(kept.features[0, 0])] += 1
    assert counts.sum() == 300 * 10
    assert counts.min() > 60
    assert counts.max() < 145

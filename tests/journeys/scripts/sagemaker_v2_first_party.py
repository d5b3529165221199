"""The SDK's own estimator classes of the first-party algorithms: record_set, fit, deploy, predict, delete."""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import numpy as np
import sagemaker
from sagemaker import KNN, LDA, PCA, FactorizationMachines, IPInsights, KMeans, LinearLearner, RandomCutForest
from sagemaker.amazon.amazon_estimator import RecordSet
from sagemaker.s3 import S3Uploader

FOLDER = Path(sys.argv[1])
INSTANCE = {"instance_count": 1, "instance_type": "ml.c5.xlarge"}

digits = np.loadtxt(FOLDER / "digits.csv", delimiter=",", dtype=np.float32)
labels, images = digits[:, 0], digits[:, 1:]
train, held_out = slice(0, 1500), slice(1500, 1797)


def session():
    return sagemaker.Session(boto3.Session())


def predicted(estimator, rows, channels, **fitting):
    """Train on `channels`, deploy, answer `rows`, clean up."""
    estimator.fit(channels, logs=False, **fitting)
    predictor = estimator.deploy(1, "ml.m5.large")
    try:
        return predictor.predict(rows)
    finally:
        predictor.delete_model()
        predictor.delete_endpoint()


def values(records, name):
    return np.array([record.label[name].float32_tensor.values for record in records])


def kmeans(role):
    estimator = KMeans(role, k=10, sagemaker_session=session(), **INSTANCE)
    answers = predicted(estimator, images[held_out], estimator.record_set(images[train]))
    clusters = values(answers, "closest_cluster")[:, 0].astype(int)
    majority = sum(Counter(labels[held_out][clusters == c]).most_common(1)[0][1] for c in set(clusters))
    assert majority / len(clusters) > 0.6, majority
    assert (values(answers, "distance_to_cluster") > 0).all()


def pca(role):
    estimator = PCA(role, num_components=8, sagemaker_session=session(), **INSTANCE)
    projections = values(predicted(estimator, images[held_out], estimator.record_set(images[train])), "projection")
    centred = images[held_out] - images[train].mean(0)
    axes = np.linalg.svd(images[train] - images[train].mean(0), full_matrices=False)[2][:8]
    expected = (centred @ axes.T)[:, ::-1]  # the smallest component comes first
    np.testing.assert_allclose(np.abs(projections), np.abs(expected), rtol=0.02, atol=0.05)


def linear_learner(role):
    estimator = LinearLearner(
        role, predictor_type="multiclass_classifier", num_classes=10, epochs=10, sagemaker_session=session(), **INSTANCE
    )
    channels = [
        estimator.record_set(images[train], labels[train]),
        estimator.record_set(images[held_out], labels[held_out], channel="validation", distribution="FullyReplicated"),
    ]
    answers = predicted(estimator, images[held_out], channels, mini_batch_size=100)
    assert (values(answers, "predicted_label")[:, 0] == labels[held_out]).mean() > 0.85


def knn(role):
    estimator = KNN(role, k=5, sample_size=1500, predictor_type="classifier", sagemaker_session=session(), **INSTANCE)
    answers = predicted(estimator, images[held_out], estimator.record_set(images[train], labels[train]))
    assert (values(answers, "predicted_label")[:, 0] == labels[held_out]).mean() > 0.94


def factorization_machines(role):
    zero = (labels == 0).astype(np.float32)
    estimator = FactorizationMachines(
        role, num_factors=8, predictor_type="binary_classifier", epochs=40, sagemaker_session=session(), **INSTANCE
    )
    answers = predicted(
        estimator, images[held_out] / 16, estimator.record_set(images[train] / 16, zero[train]), mini_batch_size=100
    )
    assert (values(answers, "predicted_label")[:, 0] == zero[held_out]).mean() > 0.95


def random_cut_forest(role):
    estimator = RandomCutForest(role, num_trees=50, num_samples_per_tree=256, sagemaker_session=session(), **INSTANCE)
    strange = np.vstack([images[held_out][:20], 16 - images[held_out][:5]])
    scores = values(predicted(estimator, strange, estimator.record_set(images[train])), "score")[:, 0]
    assert scores[20:].min() > scores[:20].mean(), scores


def ip_insights(role):
    rng = np.random.default_rng(0)
    homes = {f"user_{n}": f"10.{n}.{n}" for n in range(20)}
    lines = [f"{user},{home}.{rng.integers(1, 255)}" for user, home in homes.items() for _ in range(100)]
    rng.shuffle(lines)
    sdk = session()
    bucket = sdk.default_bucket()
    data = S3Uploader.upload_string_as_file_body(
        "\n".join(lines) + "\n", f"s3://{bucket}/ip-insights/train.csv", sagemaker_session=sdk
    )
    estimator = IPInsights(
        role, num_entity_vectors=200, vector_dim=32, epochs=20, learning_rate=0.01, sagemaker_session=sdk, **INSTANCE
    )
    records = RecordSet(data, num_records=len(lines), feature_dim=None, s3_data_type="S3Prefix")
    asked = [[user, home + ".7"] for user, home in homes.items()] + [[user, "203.0.113.9"] for user in homes]
    answers = predicted(estimator, asked, records, mini_batch_size=200)
    scores = np.array([answer["dot_product"] for answer in answers["predictions"]])
    assert scores[:20].mean() > scores[20:].mean() + 1, scores


def lda(role):
    counts = np.rint(images).astype(np.float32)
    estimator = LDA(role, num_topics=5, sagemaker_session=session(), **INSTANCE)
    mixtures = values(
        predicted(estimator, counts[held_out], estimator.record_set(counts[train]), mini_batch_size=1500), "topic_mixture"
    )
    assert mixtures.shape == (297, 5)
    np.testing.assert_allclose(mixtures.sum(1), 1, rtol=1e-3)


def main():
    role = sagemaker.get_execution_role()
    session().default_bucket()
    every = [kmeans, pca, linear_learner, knn, factorization_machines, random_cut_forest, ip_insights, lda]
    with ThreadPoolExecutor(len(every)) as pool:
        for algorithm, done in [(each.__name__, pool.submit(each, role)) for each in every]:
            done.result()
            print(algorithm, "trained, deployed and answered", flush=True)


if __name__ == "__main__":
    main()

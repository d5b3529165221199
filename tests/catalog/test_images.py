"""Image URIs in the forms that clients send, and which algorithm each means."""

from __future__ import annotations

import pytest

from clary.catalog import images
from clary.catalog.algorithms import every, find

REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"{REGISTRY}/sagemaker-xgboost:1.7-1", images.Image("sagemaker-xgboost", "1.7-1")),
        (
            "451049120500.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-xgboost:1.7-1",
            images.Image("sagemaker-xgboost", "1.7-1"),
        ),
        (f"{REGISTRY}/sagemaker-model-monitor-analyzer", images.Image("sagemaker-model-monitor-analyzer")),
        (f"{REGISTRY}/team/churn@sha256:0a1b", images.Image("team/churn", "", "sha256:0a1b")),
        (f"{REGISTRY}/team/churn:2@sha256:0a1b", images.Image("team/churn", "2", "sha256:0a1b")),
        ("localhost:5000/churn:2", images.Image("churn", "2")),
        ("localhost/churn", images.Image("churn")),
        ("python:3.12", images.Image("python", "3.12")),
    ],
)
def test_an_image_uri_gives_repository_tag_and_digest(uri, expected):
    assert images.parse(uri) == expected


@pytest.mark.parametrize("uri", ["", "a:b:c", "repository@sha256:xyz", "a@b@c"])
def test_what_is_no_image_uri_gives_nothing(uri):
    assert images.parse(uri) is None


@pytest.mark.parametrize(
    ("uri", "tag"),
    [
        (f"{REGISTRY}/sagemaker-xgboost:1.7-1", "1.7-1"),
        (f"{REGISTRY}/sagemaker-xgboost:0.90-2-cpu-py3", "0.90-2"),
        (f"{REGISTRY}/sagemaker-xgboost", "3.0-5"),
        (f"{REGISTRY}/sagemaker-xgboost@sha256:0a1b", "3.0-5"),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1", "1"),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest", "latest"),
    ],
)
def test_built_in_images_are_found_whatever_their_account_and_region(uri, tag):
    found = find(uri)
    assert found is not None
    assert (found[0].name, found[1]) == ("xgboost", tag)


@pytest.mark.parametrize("uri", [f"{REGISTRY}/sagemaker-xgboost:9.9-9", f"{REGISTRY}/team/xgboost:1", "no image", ""])
def test_other_images_and_unknown_tags_are_not_built_in(uri):
    assert find(uri) is None


@pytest.mark.parametrize("algorithm", every(), ids=lambda algorithm: algorithm.name)
def test_a_declaration_is_complete(algorithm):
    for tags in algorithm.repositories.values():
        assert all(algorithm.version(tag) == version for tag, version in tags.items())
    assert ":" in algorithm.train
    assert ":" in algorithm.serve
    assert [channel.name for channel in algorithm.channels if channel.required]
    assert len({metric.name for metric in algorithm.metrics}) == len(algorithm.metrics)

"""Which framework an image URI of the SDKs means, which version it asks for, and which images are refused."""

from __future__ import annotations

import pytest

from clary.catalog import frameworks

OLD, DEEP = "520713654638.dkr.ecr.us-east-1.amazonaws.com", "763104351884.dkr.ecr.us-east-1.amazonaws.com"
LEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("image", "name", "version"),
    [
        (f"{LEARN}/sagemaker-scikit-learn:1.2-1-cpu-py3", "sklearn", "1.2"),
        (f"{LEARN}/sagemaker-scikit-learn:0.23-1-cpu-py3", "sklearn", "0.23"),
        ("sagemaker-scikit-learn:1.4-2-cpu-py3", "sklearn", "1.4"),
        (f"{LEARN}/sagemaker-xgboost:1.7-1", "xgboost", "1.7"),
        (f"{LEARN}/sagemaker-xgboost:0.90-2-cpu-py3", "xgboost", "0.90"),
        (f"{DEEP}/pytorch-training:2.6.0-cpu-py312", "pytorch", "2.6.0"),
        (f"{DEEP}/pytorch-inference:2.6.0-cpu-py312", "pytorch", "2.6.0"),
        (f"{DEEP}/pytorch-inference-graviton:2.1.0-cpu-py310-ubuntu20.04-sagemaker", "pytorch", "2.1.0"),
        (f"{OLD}/sagemaker-pytorch:1.0.0-cpu-py3", "pytorch", "1.0.0"),
        ("727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/tensorflow-training:2.14.1-gpu-py310", "tensorflow", "2.14.1"),
        (f"{DEEP}/tensorflow-inference:2.14.1-cpu", "tensorflow", "2.14.1"),
        (f"{OLD}/sagemaker-tensorflow-scriptmode:1.12.0-cpu-py3", "tensorflow", "1.12.0"),
        (
            f"{DEEP}/huggingface-pytorch-training:2.1.0-transformers4.36.0-gpu-py310-cu121-ubuntu20.04",
            "huggingface",
            "4.36.0",
        ),
        (f"{DEEP}/huggingface-tensorflow-inference:2.11.1-transformers4.26.0-cpu-py39-ubuntu20.04", "huggingface", "4.26.0"),
        (f"{DEEP}/pytorch-training", "pytorch", ""),
        ("081325390199.dkr.ecr.us-east-1.amazonaws.com/sagemaker-base-python-310:1.0", "base-python", ""),
    ],
)
def test_an_image_names_a_framework_and_a_version(image: str, name: str, version: str) -> None:
    framework, asked = frameworks.find(image) or pytest.fail("not recognised")
    assert (framework.name, asked) == (name, version)
    assert frameworks.refusal(image) == ""


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (f"{DEEP}/mxnet-training:1.9.0-cpu-py38", "MXNet"),
        (f"{OLD}/sagemaker-mxnet-serving:1.4.1-cpu-py3", "MXNet"),
        (f"{OLD}/sagemaker-chainer:5.0.0-gpu-py3", "Chainer"),
        ("462105765813.dkr.ecr.us-east-1.amazonaws.com/sagemaker-rl-coach-container:coach-1.0.0-tf-cpu-py3", "reinforcement"),
        ("462105765813.dkr.ecr.us-east-1.amazonaws.com/sagemaker-rl-tensorflow:coach0.11-cpu-py3", "reinforcement"),
        (f"{OLD}/sagemaker-tensorflow:1.10.0-cpu-py2", "TensorFlow 1"),
        (f"{DEEP}/pytorch-inference-eia:1.5.1-cpu-py3", "Elastic Inference"),
        (f"{DEEP}/huggingface-pytorch-trcomp-training:1.11.0-transformers4.21.1-gpu-py38", "compilers"),
        (f"{OLD}/sagemaker-pytorch:0.4.0-cpu-py2", "Python 2"),
    ],
)
def test_an_image_that_cannot_run_is_refused_with_a_reason(image: str, why: str) -> None:
    assert frameworks.find(image) is None
    assert why in frameworks.refusal(image)


def test_other_images_are_not_our_business() -> None:
    assert frameworks.find("kmeans:1") is None
    assert frameworks.refusal("kmeans:1") == frameworks.refusal("mine:latest") == frameworks.refusal("") == ""


def test_xgboost_is_a_framework_when_the_request_brings_a_script() -> None:
    specification = {"TrainingImage": f"{LEARN}/sagemaker-xgboost:1.7-1"}
    assert frameworks.for_training({"AlgorithmSpecification": specification, "HyperParameters": {"eta": "1"}}) is None
    for script in (
        {"HyperParameters": {"sagemaker_program": '"train.py"'}},
        {"Environment": {"SAGEMAKER_PROGRAM": "train.py"}},
        {"AlgorithmSpecification": specification | {"ContainerEntrypoint": ["/bin/bash"]}},
    ):
        found = frameworks.for_training({"AlgorithmSpecification": specification} | script)
        assert found is not None
        assert found[0].name == "xgboost"
    assert frameworks.for_serving(specification["TrainingImage"], {}) is None
    assert frameworks.for_serving(specification["TrainingImage"], {"SAGEMAKER_PROGRAM": "inference.py"}) is not None


@pytest.mark.parametrize(("name", "framework"), [("pytorch", "pytorch"), ("pytorch-2.1", "pytorch"), ("torch", ""), ("", "")])
def test_environments_are_named_after_their_framework(name: str, framework: str) -> None:
    found = frameworks.named(name)
    assert (found.name if found else "") == framework

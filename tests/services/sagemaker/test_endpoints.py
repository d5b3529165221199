from __future__ import annotations

import threading
from collections import Counter

import pytest
from botocore.exceptions import ClientError
from tests.hosting import IMAGE, Customer, archive, archive_of, booster, csv, numbers, predictions, rows, wait_for

ROW = rows(1)


@pytest.fixture(scope="module")
def customer(server):
    return Customer(server, "222200000003")


def test_an_endpoint_from_creation_to_its_end(customer):
    customer.config("whole", {"VariantName": "AllTraffic", "ModelName": "plus"})
    arn = customer.sagemaker.create_endpoint(EndpointName="whole", EndpointConfigName="whole")["EndpointArn"]
    assert customer.sagemaker.describe_endpoint(EndpointName="whole")["EndpointStatus"] == "Creating"
    described = customer.settled("whole")
    assert (described["EndpointStatus"], described["EndpointArn"]) == ("InService", arn)
    (variant,) = described["ProductionVariants"]
    assert variant["DeployedImages"][0]["SpecifiedImage"] == IMAGE
    assert (variant["CurrentWeight"], variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1.0, 1, 1)
    assert customer.predict("whole", ROW) == predictions(ROW)
    customer.gone("whole")
    with pytest.raises(ClientError, match=f'Could not find endpoint "{arn}"'):
        customer.sagemaker.describe_endpoint(EndpointName="whole")
    with pytest.raises(ClientError, match=r"Endpoint whole of account 222200000003 not found\."):
        customer.predict("whole", ROW)


def test_it_outlives_its_configuration_its_model_and_its_model_data(customer):
    customer.model("short-lived", archive())
    customer.deploy("survivor", "short-lived")
    customer.sagemaker.delete_endpoint_config(EndpointConfigName="survivor")
    customer.sagemaker.delete_model(ModelName="short-lived")
    customer.s3.delete_object(Bucket=customer.bucket, Key="short-lived/model.tar.gz")
    assert customer.predict("survivor", ROW) == predictions(ROW)
    customer.gone("survivor")


def test_a_model_of_uncompressed_objects_is_served_and_transformed_with(customer):
    customer.s3.put_object(Bucket=customer.bucket, Key="loose/xgboost-model", Body=bytes(booster().save_raw("ubj")))
    source = {"S3Uri": f"s3://{customer.bucket}/loose/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}}
    customer.sagemaker.create_model(ModelName="loose", ExecutionRoleArn=customer.role, PrimaryContainer=container)
    customer.deploy("from-loose", "loose")
    assert customer.predict("from-loose", ROW) == predictions(ROW)
    customer.gone("from-loose")
    customer.s3.put_object(Bucket=customer.bucket, Key="in/a.csv", Body=csv(ROW))
    customer.transform("with-loose", "in/a.csv", ModelName="loose")
    assert customer.transformed("with-loose")["TransformJobStatus"] == "Completed"
    assert numbers(customer.read("with-loose/a.csv.out")) == pytest.approx(predictions(ROW))


@pytest.mark.parametrize(
    ("packed", "cause"),
    [
        (b"no archive", "is not a readable tar archive"),
        (archive_of({"../outside": b"x"}), "leads out of the archive's directory"),
        (archive_of({"xgboost-model": b"no model"}), "xgboost-model"),
        (archive_of({"readme": b"no model"}), ""),
    ],
    ids=["no archive", "path trick", "no model", "something else"],
)
def test_a_model_that_does_not_load_fails_the_endpoint_with_its_cause(customer, packed, cause):
    name = f"bad-{len(customer.sagemaker.list_endpoints(NameContains='bad-')['Endpoints'])}"
    customer.model(name, packed)
    described = customer.deploy(name, name)
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(
        "The primary container for production variant AllTraffic did not pass the ping health check."
    )
    assert cause in described["FailureReason"]
    assert "Traceback" in customer.log(f"/aws/sagemaker/Endpoints/{name}", "AllTraffic/") or cause == ""
    with pytest.raises(ClientError, match="Cannot update failed endpoint"):
        customer.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name)


def test_names_are_unique_whatever_their_case(customer):
    customer.deploy("Taken")
    for name in ("Taken", "taken"):
        with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
            customer.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="Taken")
    customer.gone("Taken")


def test_an_update_fails_no_call_and_switches_to_the_new_model(customer):
    customer.deploy("updated")
    customer.config("other", {"VariantName": "AllTraffic", "ModelName": "minus"})
    seen: list[list[float]] = []
    done = threading.Event()

    def client() -> None:
        while not done.is_set():
            seen.append(customer.predict("updated", ROW))

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    customer.sagemaker.update_endpoint(EndpointName="updated", EndpointConfigName="other")
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        customer.sagemaker.update_endpoint(EndpointName="updated", EndpointConfigName="other")
    described = customer.settled("updated")
    wait_for(lambda: seen and seen[-1] == predictions(ROW, -1))
    done.set()
    for thread in clients:
        thread.join()
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "other")
    assert {tuple(one) for one in seen} == {tuple(predictions(ROW)), tuple(predictions(ROW, -1))}
    customer.gone("updated")


def test_an_update_that_fails_leaves_what_served_in_service(customer):
    customer.model("broken", b"no archive")
    customer.deploy("stays")
    customer.config("to-broken", {"VariantName": "AllTraffic", "ModelName": "broken"})
    customer.sagemaker.update_endpoint(EndpointName="stays", EndpointConfigName="to-broken")
    described = customer.settled("stays")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "stays")
    assert "not a readable tar archive" in described["FailureReason"]
    assert customer.predict("stays", ROW) == predictions(ROW)
    customer.gone("stays")


def test_variants_share_calls_by_weights_that_can_be_changed(customer):
    customer.config(
        "two",
        {"VariantName": "a", "ModelName": "plus", "InitialVariantWeight": 9},
        {"VariantName": "b", "ModelName": "minus", "InitialVariantWeight": 1},
    )
    customer.sagemaker.create_endpoint(EndpointName="two", EndpointConfigName="two")
    customer.settled("two")
    assert customer.predict("two", ROW, TargetVariant="b") == predictions(ROW, -1)
    seen = Counter(tuple(customer.predict("two", ROW)) for _ in range(300))
    expected, five_sigma = 300 * 0.1, 5 * (300 * 0.1 * 0.9) ** 0.5
    assert abs(seen[tuple(predictions(ROW, -1))] - expected) < five_sigma
    customer.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="two",
        DesiredWeightsAndCapacities=[{"VariantName": "a", "DesiredWeight": 0}, {"VariantName": "b", "DesiredInstanceCount": 2}],
    )
    described = customer.settled("two")
    shown = {v["VariantName"]: (v["CurrentWeight"], v["CurrentInstanceCount"]) for v in described["ProductionVariants"]}
    assert shown == {"a": (0.0, 1), "b": (1.0, 2)}
    assert all(customer.predict("two", ROW) == predictions(ROW, -1) for _ in range(20))
    with pytest.raises(ClientError, match="weight above 0"):
        customer.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="two", DesiredWeightsAndCapacities=[{"VariantName": "b", "DesiredWeight": 0}]
        )
    customer.sagemaker.update_endpoint(EndpointName="two", EndpointConfigName="two", RetainAllVariantProperties=True)
    retained = customer.settled("two")["ProductionVariants"]
    assert {v["VariantName"]: (v["CurrentWeight"], v["CurrentInstanceCount"]) for v in retained} == shown
    customer.gone("two")


def test_an_endpoint_that_is_still_being_made_can_be_deleted(customer):
    customer.config("early", {"VariantName": "AllTraffic", "ModelName": "plus", "InitialInstanceCount": 2})
    customer.sagemaker.create_endpoint(EndpointName="early", EndpointConfigName="early")
    customer.gone("early")


def test_lists_by_status_and_a_configuration_that_is_not_there(customer):
    customer.deploy("listed")
    found = customer.sagemaker.list_endpoints(StatusEquals="InService", NameContains="listed")["Endpoints"]
    assert [(e["EndpointName"], e["EndpointStatus"]) for e in found] == [("listed", "InService")]
    assert customer.sagemaker.list_endpoints(StatusEquals="Updating")["Endpoints"] == []
    customer.gone("listed")
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        customer.sagemaker.create_endpoint(EndpointName="x", EndpointConfigName="nobody")
    with pytest.raises(ClientError, match="Could not find endpoint"):
        customer.sagemaker.delete_endpoint(EndpointName="nobody")


def test_what_workers_print_is_in_the_endpoint_s_log(customer):
    customer.deploy("talks")
    wait_for(lambda: "model loaded from xgboost-model" in customer.log("/aws/sagemaker/Endpoints/talks", "AllTraffic/i-"))
    customer.gone("talks")

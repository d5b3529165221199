"""Processing jobs with the SageMaker Python SDK v2. Usage: sagemaker_v2_processing.py DATA_DIR"""

import json
import sys
from pathlib import Path

import boto3
import sagemaker
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.processing import FrameworkProcessor, ProcessingInput, ProcessingOutput, Processor, ScriptProcessor
from sagemaker.sklearn.estimator import SKLearn
from sagemaker.sklearn.processing import SKLearnProcessor

data = Path(sys.argv[1])
session = sagemaker.Session()
role = sagemaker.get_execution_role()
s3 = boto3.client("s3")

SPLIT = """
import argparse, os
import pandas as pd
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--train-test-split-ratio", type=float, default=0.3)
args, _ = parser.parse_known_args()
frame = pd.read_csv(os.path.join("/opt/ml/processing/input", "train.csv"), header=None)
train, test = train_test_split(frame, test_size=args.train_test_split_ratio, random_state=0)
print(f"Splitting {len(frame)} rows")
train.to_csv(os.path.join("/opt/ml/processing/train", "train.csv"), index=False, header=False)
test.to_csv(os.path.join("/opt/ml/processing/test", "test.csv"), index=False, header=False)
"""
(data / "preprocess.py").write_text(SPLIT)
processor = SKLearnProcessor("1.2-1", role, 1, "ml.m5.xlarge")
processor.run(
    code=str(data / "preprocess.py"),
    inputs=[ProcessingInput(source=str(data / "train.csv"), destination="/opt/ml/processing/input")],
    outputs=[
        ProcessingOutput(output_name="train_data", source="/opt/ml/processing/train"),
        ProcessingOutput(output_name="test_data", source="/opt/ml/processing/test"),
    ],
    arguments=["--train-test-split-ratio", "0.25"],
)
described = processor.jobs[-1].describe()
outputs = {one["OutputName"]: one["S3Output"]["S3Uri"] for one in described["ProcessingOutputConfig"]["Outputs"]}
rows = {
    name: len(sagemaker.s3.S3Downloader.read_file(f"{uri}/{name.split('_')[0]}.csv", session).splitlines())
    for name, uri in outputs.items()
}
print("rows", rows)
assert rows == {"train_data": 240, "test_data": 80}

# A script of one's own in any image, with environment and a command of two words.
(data / "tell.py").write_text("import os, sys; print('told', os.environ['WHO'], sys.argv[1:])\n")
image = sagemaker.image_uris.retrieve(
    "pytorch", session.boto_region_name, "2.6.0", "py312", instance_type="ml.m5.large", image_scope="training"
)
script = ScriptProcessor(
    image_uri=image, command=["python3", "-u"], role=role, instance_count=1, instance_type="ml.m5.large", env={"WHO": "you"}
)
script.run(code=str(data / "tell.py"), arguments=["a", "b c"])

# No script: the command is all there is.
plain = Processor(
    role=role,
    image_uri=sagemaker.image_uris.retrieve("sklearn", session.boto_region_name, "1.2-1"),
    instance_count=1,
    instance_type="ml.m5.large",
    entrypoint=["/bin/sh", "-c", "wc -l /opt/ml/processing/in/features.csv > /opt/ml/processing/out/lines"],
)
plain.run(
    inputs=[ProcessingInput(source=str(data / "features.csv"), destination="/opt/ml/processing/in")],
    outputs=[ProcessingOutput(source="/opt/ml/processing/out", destination=f"s3://{session.default_bucket()}/lines")],
)
counted = s3.get_object(Bucket=session.default_bucket(), Key="lines/lines")["Body"].read()
assert counted.split()[0] == str(len((data / "features.csv").read_text().splitlines())).encode(), counted

# A source directory with a module of its own and requirements, which the SDK packs and starts with its runproc.sh.
source = data / "source"
source.mkdir()
(source / "own.py").write_text("def double(x):\n    return 2 * x\n")
(source / "requirements.txt").write_text("numpy\n")
(source / "work.py").write_text(
    "import json, sys, own, numpy\n"
    "json.dump({'twice': own.double(int(sys.argv[1]))}, open('/opt/ml/processing/output/twice.json', 'w'))\n"
)
framework = FrameworkProcessor(
    estimator_cls=SKLearn, framework_version="1.2-1", role=role, instance_count=1, instance_type="ml.m5.large"
)
framework.run(
    code="work.py",
    source_dir=str(source),
    outputs=[ProcessingOutput(output_name="out", source="/opt/ml/processing/output")],
    arguments=["21"],
)
uri = framework.jobs[-1].describe()["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
assert json.loads(sagemaker.s3.S3Downloader.read_file(f"{uri}/twice.json", session)) == {"twice": 42}

# A script that fails: the SDK says why.
(data / "fails.py").write_text("raise ValueError('column 7 is missing')\n")
told = ""
try:
    processor.run(code=str(data / "fails.py"), logs=False)
except UnexpectedStatusException as error:
    told = str(error)
print("failed as it should:", told)
assert "AlgorithmError: ValueError: column 7 is missing, exit code: 1" in told

names = [
    job["ProcessingJobName"]
    for job in session.sagemaker_client.list_processing_jobs(StatusEquals="Completed")["ProcessingJobSummaries"]
]
print("completed", names)
assert len(names) == 4

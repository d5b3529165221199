"""Processing jobs with the SageMaker Python SDK v3. Usage: sagemaker_v3_processing.py DATA_DIR"""

import json
import sys
from pathlib import Path

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.processing import FrameworkProcessor, ScriptProcessor
from sagemaker.core.s3 import S3Downloader
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
from sagemaker.core.utils.exceptions import FailedStatusError

data = Path(sys.argv[1])
session = Session()
role = get_execution_role()
image = image_uris.retrieve("sklearn", session.boto_region_name, "1.2-1")
where = f"s3://{session.default_bucket()}/v3-processing"


def output(name):
    return ProcessingOutput(
        output_name=name,
        s3_output=ProcessingS3Output(
            s3_uri=f"{where}/{name}", local_path="/opt/ml/processing/output", s3_upload_mode="EndOfJob"
        ),
    )


(data / "count.py").write_text(
    "import json, sys\n"
    "import pandas as pd\n"
    "frame = pd.read_csv('/opt/ml/processing/input/rows/train.csv', header=None)\n"
    "print('counting', len(frame))\n"
    "json.dump({'rows': len(frame), 'argv': sys.argv[1:]}, open('/opt/ml/processing/output/count.json', 'w'))\n"
)
script = ScriptProcessor(image_uri=image, role=role, command=["python3"], instance_count=1, instance_type="ml.m5.large")
rows = ProcessingS3Input(
    s3_uri=str(data / "train.csv"), local_path="/opt/ml/processing/input/rows", s3_data_type="S3Prefix", s3_input_mode="File"
)
script.run(
    code=str(data / "count.py"),
    inputs=[ProcessingInput(input_name="rows", s3_input=rows)],
    outputs=[output("count")],
    arguments=["--flag", "a b"],
)
counted = json.loads(S3Downloader.read_file(f"{where}/count/count.json", session))
print("counted", counted)
assert counted == {"rows": 320, "argv": ["--flag", "a b"]}

source = data / "source"
source.mkdir()
(source / "own.py").write_text("def double(x):\n    return 2 * x\n")
(source / "requirements.txt").write_text("numpy\n")
(source / "work.py").write_text(
    "import json, sys, own, numpy\n"
    "json.dump({'twice': own.double(int(sys.argv[1]))}, open('/opt/ml/processing/output/twice.json', 'w'))\n"
)
framework = FrameworkProcessor(image_uri=image, role=role, command=["python3"], instance_count=1, instance_type="ml.m5.large")
framework.run(
    code="work.py", source_dir=str(source), requirements="requirements.txt", outputs=[output("twice")], arguments=["21"]
)
twice = json.loads(S3Downloader.read_file(f"{where}/twice/twice.json", session))
print("twice", twice)
assert twice == {"twice": 42}

(data / "fails.py").write_text("raise ValueError('column 7 is missing')\n")
script.run(code=str(data / "fails.py"), wait=False)
try:
    script.latest_job.wait(poll=1)
except FailedStatusError as error:
    print("failed as it should:", error)
script.latest_job.refresh()
assert script.latest_job.processing_job_status == "Failed"
assert script.latest_job.failure_reason == "AlgorithmError: ValueError: column 7 is missing, exit code: 1"

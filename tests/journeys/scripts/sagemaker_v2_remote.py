"""Remote functions with the SageMaker Python SDK v2. Usage: sagemaker_v2_remote.py DATA_DIR"""

import sys
from pathlib import Path

import sagemaker
from sagemaker.remote_function import RemoteExecutor, remote

data = Path(sys.argv[1])
session = sagemaker.Session()
role = sagemaker.get_execution_role()
# The SDK has a default image for Python 3.8 and 3.10 only; this is what it is called for the others.
image = f"081325390199.dkr.ecr.{session.boto_region_name}.amazonaws.com/sagemaker-base-python-310:1.0"
settings = {"image_uri": image, "role": role, "instance_type": "ml.m5.large"}

offset = 40


@remote(
    **settings,
    environment_variables={"COLOUR": "blue"},
    pre_execution_commands=["echo prepared > /opt/ml/output/prepared-$COLOUR"],
)
def shifted(numbers, by=0):
    import os
    from pathlib import Path

    print("shifting", numbers)
    return {
        "shifted": [number + by + offset for number in numbers],
        "colour": os.environ["COLOUR"],
        "prepared": Path("/opt/ml/output/prepared-blue").read_text().strip(),
    }


class TooSmallError(Exception):
    """An exception of the caller's own."""


@remote(**settings)
def picky(number):
    if number < 10:
        raise TooSmallError(f"{number} is too small")
    return number


def weeks(days):
    return divmod(days, 7)


answer = shifted([1, 2], by=1)
print("answer", answer)
assert answer == {"shifted": [42, 43], "colour": "blue", "prepared": "prepared"}

raised = None
try:
    picky(3)
except Exception as error:  # what the function raised, or the SDK's own: the line below tells them apart
    raised = error
print("raised", repr(raised))
assert isinstance(raised, TooSmallError), raised
assert str(raised) == "3 is too small"

with RemoteExecutor(max_parallel_jobs=2, **settings) as executor:
    futures = [executor.submit(weeks, number) for number in (20, 50)]
    results = [future.result() for future in futures]
print("results", results)
assert results == [(2, 6), (7, 1)]

"""Remote functions with the SageMaker Python SDK v3. Usage: sagemaker_v3_remote.py DATA_DIR"""

from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.remote_function import remote

session = Session()
# The SDK has a default image for Python 3.8 and 3.10 only; this is what it is called for the others.
image = f"081325390199.dkr.ecr.{session.boto_region_name}.amazonaws.com/sagemaker-base-python-310:1.0"
settings = {"image_uri": image, "role": get_execution_role(), "instance_type": "ml.m5.large"}


class TooSmallError(Exception):
    """An exception of the caller's own."""


@remote(**settings)
def picky(number):
    if number < 10:
        raise TooSmallError(f"{number} is too small")
    return {"squared": number**2}


answer = picky(12)
print("answer", answer)
assert answer == {"squared": 144}

raised = None
try:
    picky(3)
except Exception as error:  # what the function raised, or the SDK's own: the line below tells them apart
    raised = error
print("raised", repr(raised))
assert isinstance(raised, TooSmallError), raised
assert str(raised) == "3 is too small"

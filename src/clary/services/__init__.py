"""One folder per AWS service, one file per resource.

`MOUNTED` names what this server has, as text, so that a service is imported on its first call. Each module offers
`resources(platform) -> list`: instances of the classes whose marked methods are the service's operations.
"""

MOUNTED = {
    "cloudwatch": "clary.services.cloudwatch",
    "ecr": "clary.services.ecr",
    "iam": "clary.services.iam",
    "logs": "clary.services.logs",
    "s3": "clary.services.s3",
    "sagemaker": "clary.services.sagemaker",
    "sagemaker-runtime": "clary.services.sagemaker_runtime",
    "sts": "clary.services.sts",
}

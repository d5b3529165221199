"""Which service a name on the wire means, known without loading a service model.

AWS services are told apart by the prefix of `X-Amz-Target`, the signing name of the credential scope, the `Version` of a
query request and the host label. The table holds the services that Clary has and those that SageMaker clients open beside
them, so that a request for one of the latter is answered with its name. A test compares it with botocore's models.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """How one service appears on the wire; empty strings where it has no such mark."""

    service: str
    protocol: str
    version: str
    signing: str
    host: str
    target: str


# service, protocol, API version, signing name, host label ("=": as the service), prefix of X-Amz-Target ("-": none)
_TABLE = """
s3                              rest-xml   2006-03-01  =                 =  -
sagemaker                       json       2017-07-24  =                 api.sagemaker  SageMaker
sagemaker-runtime               rest-json  2017-05-13  sagemaker         runtime.sagemaker  -
sagemaker-featurestore-runtime  rest-json  2020-07-01  sagemaker         featurestore-runtime.sagemaker  -
sagemaker-a2i-runtime           rest-json  2019-11-07  sagemaker         a2i-runtime.sagemaker  -
sagemaker-metrics               rest-json  2022-09-30  sagemaker         metrics.sagemaker  -
sagemaker-edge                  rest-json  2020-09-23  sagemaker         edge.sagemaker  -
sagemaker-geospatial            rest-json  2020-05-27  =                 =  -
s3control                       rest-xml   2018-08-20  s3                s3-control  -
sts                             query      2011-06-15  =                 =  -
iam                             query      2010-05-08  =                 =  -
logs                            json       2014-03-28  =                 =  Logs_20140328
cloudwatch                      json       2010-08-01  monitoring        monitoring  GraniteServiceVersion20100801
ecr                             json       2015-09-21  =                 api.ecr  AmazonEC2ContainerRegistry_V20150921
ecr-public                      json       2020-10-30  =                 api.ecr-public  SpencerFrontendService
application-autoscaling         json       2016-02-06  =                 =  AnyScaleFrontendService
kinesis                         json       2013-12-02  =                 =  Kinesis_20131202
firehose                        json       2015-08-04  =                 =  Firehose_20150804
glue                            json       2017-03-31  =                 =  AWSGlue
athena                          json       2017-05-18  =                 =  AmazonAthena
stepfunctions                   json       2016-11-23  states            states  AWSStepFunctions
events                          json       2015-10-07  =                 =  AWSEvents
scheduler                       rest-json  2021-06-30  =                 =  -
lambda                          rest-json  2015-03-31  =                 =  -
kms                             json       2014-11-01  =                 =  TrentService
ec2                             ec2        2016-11-15  =                 =  -
servicecatalog                  json       2015-12-10  =                 =  AWS242ServiceCatalogService
cognito-idp                     json       2016-04-18  =                 =  AWSCognitoIdentityProviderService
secretsmanager                  json       2017-10-17  =                 =  secretsmanager
dynamodb                        json       2012-08-10  =                 =  DynamoDB_20120810
sns                             query      2010-03-31  =                 =  -
sqs                             json       2012-11-05  =                 =  AmazonSQS
cloudformation                  query      2010-05-15  =                 =  -
codeartifact                    rest-json  2018-09-22  =                 =  -
lakeformation                   rest-json  2017-03-31  =                 =  -
redshift-data                   json       2019-12-20  =                 =  RedshiftData
emr                             json       2009-03-31  elasticmapreduce  elasticmapreduce  ElasticMapReduce
cloudtrail                      json       2013-11-01  =                 =  CloudTrail_20131101
ssm                             json       2014-11-06  =                 =  AmazonSSM
pricing                         json       2017-10-15  =                 api.pricing  AWSPriceListService
service-quotas                  json       2019-06-24  servicequotas     servicequotas  ServiceQuotasV20190624
resource-groups                 rest-json  2017-11-27  =                 =  -
resourcegroupstaggingapi        json       2017-01-26  tagging           tagging  ResourceGroupsTaggingAPI_20170126
batch                           rest-json  2016-08-10  =                 =  -
bedrock                         rest-json  2023-04-20  =                 =  -
bedrock-runtime                 rest-json  2023-09-30  bedrock           =  -
"""


def _entry(line: str) -> Entry:
    service, protocol, version, signing, host, target = line.split()
    return Entry(
        service,
        protocol,
        version,
        signing=service if signing == "=" else signing,
        host=service if host == "=" else host,
        target="" if target == "-" else target,
    )


ENTRIES = {entry.service: entry for entry in map(_entry, _TABLE.strip().splitlines())}

BY_TARGET = {entry.target: entry for entry in ENTRIES.values() if entry.target}
BY_HOST = {entry.host: entry for entry in ENTRIES.values()}
BY_QUERY_VERSION = {
    entry.version: entry for entry in ENTRIES.values() if entry.protocol in ("query", "ec2") or entry.service == "cloudwatch"
}

BY_SIGNING = {entry.signing: entry for entry in reversed(ENTRIES.values())}
"""Signing name -> the first service in the table that uses it."""

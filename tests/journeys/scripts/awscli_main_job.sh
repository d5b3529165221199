#!/bin/sh
# Train, deploy, predict and clean up with the AWS CLI. Usage: awscli_main_job.sh DATA_DIR
set -eux
data=$1
bucket=awscli-journey
role=arn:aws:iam::$(aws sts get-caller-identity --query Account --output text):role/TrainingRole
aws iam create-role --role-name TrainingRole --assume-role-policy-document \
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}]}'

aws s3 mb s3://$bucket
aws s3 cp "$data/train.csv" s3://$bucket/train/
aws s3 cp "$data/validation.csv" s3://$bucket/validation/
aws s3 ls --recursive s3://$bucket | grep train/train.csv
mkdir -p "$data/awscli"
aws s3 sync s3://$bucket "$data/awscli/copy"
cmp "$data/train.csv" "$data/awscli/copy/train/train.csv"

channel() {
    echo "ChannelName=$1,ContentType=text/csv,DataSource={S3DataSource={S3DataType=S3Prefix,S3Uri=s3://$bucket/$1/}}"
}
image=683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1
aws sagemaker create-training-job \
    --training-job-name cli-xgboost \
    --role-arn "$role" \
    --algorithm-specification TrainingImage=$image,TrainingInputMode=File \
    --hyper-parameters objective=binary:logistic,num_round=40,max_depth=4,eval_metric=auc \
    --input-data-config "$(channel train)" "$(channel validation)" \
    --output-data-config S3OutputPath=s3://$bucket/models/ \
    --resource-config InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=5 \
    --stopping-condition MaxRuntimeInSeconds=600

status=InProgress
while [ "$status" = InProgress ]; do
    status=$(aws sagemaker describe-training-job --training-job-name cli-xgboost --query TrainingJobStatus --output text)
done
[ "$status" = Completed ]
aws logs filter-log-events --log-group-name /aws/sagemaker/TrainingJobs --log-stream-name-prefix cli-xgboost/ \
    --query 'events[].message' --output text | grep validation-auc

artifact=$(aws sagemaker describe-training-job --training-job-name cli-xgboost --query ModelArtifacts.S3ModelArtifacts --output text)
[ "$artifact" = s3://$bucket/models/cli-xgboost/output/model.tar.gz ]
aws s3 cp "$artifact" "$data/awscli/model.tar.gz"
tar -tzf "$data/awscli/model.tar.gz" | grep xgboost-model

aws sagemaker create-model --model-name cli --execution-role-arn "$role" --primary-container Image=$image,ModelDataUrl="$artifact"
aws sagemaker create-endpoint-config --endpoint-config-name cli \
    --production-variants VariantName=AllTraffic,ModelName=cli,InitialInstanceCount=1,InstanceType=ml.m5.large
aws sagemaker create-endpoint --endpoint-name cli --endpoint-config-name cli
status=Creating
while [ "$status" = Creating ]; do
    status=$(aws sagemaker describe-endpoint --endpoint-name cli --query EndpointStatus --output text)
done
[ "$status" = InService ]

head -n 3 "$data/features.csv" >"$data/awscli/rows.csv"
aws sagemaker-runtime invoke-endpoint --endpoint-name cli --content-type text/csv --accept application/json \
    --body "fileb://$data/awscli/rows.csv" "$data/awscli/answer.json"
grep '"score"' "$data/awscli/answer.json"

aws sagemaker delete-endpoint --endpoint-name cli
aws sagemaker delete-endpoint-config --endpoint-config-name cli
aws sagemaker delete-model --model-name cli
aws s3 rb --force s3://$bucket
aws iam delete-role --role-name TrainingRole

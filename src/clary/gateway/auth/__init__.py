"""Who calls, and what they may do. A file per form of signature; `authenticate` chooses between them.

claim.py            what a signed request says about its signer
signature_v4.py     canonical request, signing key, `Authorization: AWS4-HMAC-SHA256 ...`
presigned_v4.py     `X-Amz-Signature` in the query
presigned_v2.py     `AWSAccessKeyId`, `Signature` and `Expires` in the query (botocore's default against custom endpoints)
post_policy.py      browser forms with a signed policy
chunks.py           chunk and trailer signatures of aws-chunked bodies
origin.py           which Host and Origin are ours
refusals.py         the same refusal in each protocol's words
keys.py             keys that this server issued: the root key, IAM access keys, session keys
authenticate.py     request -> caller
actions.py          operation -> the IAM actions and resources it needs
authorizer.py       the caller's policies -> allowed or AccessDenied; PassRole
"""

"""`aws s3 cp FILE s3://bucket/folder/` for machines without the AWS CLI."""

import os
import sys

from botocore.session import Session

service, operation, source, target = sys.argv[1:]
assert [service, operation] == ["s3", "cp"], sys.argv
bucket, _, key = target.removeprefix("s3://").partition("/")
if not key or key.endswith("/"):
    key += os.path.basename(source)
with open(source, "rb") as body:
    Session().create_client("s3").put_object(Bucket=bucket, Key=key, Body=body)
print(f"upload: ./{source} to s3://{bucket}/{key}")

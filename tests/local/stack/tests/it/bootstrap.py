#!/usr/bin/env python3
"""A function for the tests: returns its environment, or makes one unsigned DynamoDB call (signatures are not checked)."""
import json
import os
import urllib.request

API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation"


def put_item(request):
    headers = {"X-Amz-Target": "DynamoDB_20120810.PutItem", "Content-Type": "application/x-amz-json-1.0"}
    call = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], json.dumps(request).encode(), headers)
    return json.loads(urllib.request.urlopen(call).read() or b"{}")


while True:
    with urllib.request.urlopen(API + "/next") as invocation:
        request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
        event = json.loads(invocation.read())
    answer = put_item(event["put"]) if "put" in event else dict(os.environ, PID=str(os.getpid()))
    result = urllib.request.Request(f"{API}/{request_id}/response", json.dumps(answer).encode())
    urllib.request.urlopen(result).read()

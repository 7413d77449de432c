"""Pipes from a table's stream to an event bus, with filter, input template and role.

ministack creates pipes and polls streams each second, but forwards only whole records, and not to event buses.
"""

import json
import logging
import os
import re

from ministack.core.iam_evaluator import EvalContext, _gather_role_policies, evaluate, evaluate_trust_policy
from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, iam, pipes
from ministack.services.cloudformation import provisioners

logger = logging.getLogger("pipes")

STREAM_ACTIONS = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"]
# A variable, with or without quotes around it.
VARIABLE = re.compile(r'"<(\$[^<>"]*)>"|<(\$[^<>"]*)>')

deliver_elsewhere = pipes._deliver_batch
handlers = provisioners._RESOURCE_HANDLERS["AWS::Pipes::Pipe"]
create_bare, update_bare = handlers["create"], handlers["update"]


def check(props):
    """Raises an error for what AWS refuses when a pipe is created."""
    patterns_of(props.get("SourceParameters") or {})
    template = (props.get("TargetParameters") or {}).get("InputTemplate") or "{}"
    if "<" in VARIABLE.sub("null", template):
        raise ValueError(f"InputTemplate: unsupported variable: {template}")
    json.loads(VARIABLE.sub("null", template))


def patterns_of(parameters):
    """Returns the compiled patterns of the filter. Without patterns, every record passes."""
    compiled = []
    for one in (parameters.get("FilterCriteria") or {}).get("Filters") or []:
        alternatives, reason = eventbridge._parse_pattern_text(one["Pattern"])
        if reason:
            raise ValueError(f"FilterCriteria: {reason}: {one['Pattern']}")
        compiled.append(alternatives)
    return compiled


def keep(name, props):
    pipes._pipes[name]["Parameters"] = {key: props.get(key) or {} for key in ("SourceParameters", "TargetParameters")}


def create(logical_id, props, stack_name):
    check(props)
    name, attributes = create_bare(logical_id, props, stack_name)
    keep(name, props)
    return name, attributes


def update(physical_id, old_props, new_props, stack_name, logical_id=None):
    check(new_props)
    name, attributes = update_bare(physical_id, old_props, new_props, stack_name, logical_id)
    keep(name, new_props)
    return name, attributes


def may(pipe, action, resource):
    role = pipe["RoleArn"].rsplit("/", 1)[-1]
    context = EvalContext(pipe["RoleArn"], "AssumedRole", get_account_id(), action, resource, get_region())
    return evaluate(context, _gather_role_policies(role, get_account_id())).decision == "Allow"


def is_assumed(pipe):
    """Whether Pipes may assume the role for this pipe."""
    role = iam._roles.get(pipe["RoleArn"].rsplit("/", 1)[-1]) or {}
    trust = role.get("AssumeRolePolicyDocument") or {}
    trust = json.loads(trust) if isinstance(trust, str) else trust
    services = [statement.get("Principal", {}).get("Service") for statement in trust.get("Statement", [])]
    # For ministack, the root user stands for any service.
    root = f"arn:aws:iam::{get_account_id()}:root"
    keys = {"aws:sourcearn": pipe["Arn"], "aws:sourceaccount": get_account_id()}
    context = EvalContext(
        root, "Root", get_account_id(), "sts:AssumeRole", "*", get_region(), service_context=keys
    )
    return services == ["pipes.amazonaws.com"] and evaluate_trust_policy(trust, root, context)


def refusal(pipe):
    """Returns the first action that the role lacks, or None."""
    if os.environ.get("AUTH") != "true":
        return None
    stream = pipe["Parameters"]["SourceParameters"].get("DynamoDBStreamParameters") or {}
    needed = [(f"dynamodb:{action}", pipe["Source"]) for action in STREAM_ACTIONS]
    needed.append(("events:PutEvents", pipe["Target"]))
    needed += [("sqs:SendMessage", letters["Arn"]) for letters in [stream.get("DeadLetterConfig")] if letters]
    if not is_assumed(pipe):
        return "sts:AssumeRole"
    return next((action for action, resource in needed if not may(pipe, action, resource)), None)


def passes(parameters, record):
    patterns = patterns_of(parameters)
    return not patterns or any(
        eventbridge._matches_detail(record, alternative) for pattern in patterns for alternative in pattern
    )


def value_at(record, path):
    """Returns the value at a path. A missing path is an error here, because AWS does not document its result."""
    value = record
    for name in path.split(".")[1:]:
        value = value[name]
    return value


def rendered(template, record):
    text = VARIABLE.sub(lambda found: json.dumps(value_at(record, found.group(1) or found.group(2))), template)
    return json.dumps(json.loads(text))


def put(pipe, record):
    parameters = pipe["Parameters"]["TargetParameters"]
    event = parameters.get("EventBridgeEventBusParameters") or {}
    template = parameters.get("InputTemplate")
    entry = {
        "Source": event.get("Source") or f"Pipe {pipe['Name']}",
        "DetailType": event.get("DetailType") or "Event from aws:dynamodb",
        "Detail": rendered(template, record) if template else json.dumps(record),
        "EventBusName": pipe["Target"],
    }
    _, _, body = eventbridge._put_events({"Entries": [entry]})
    return json.loads(body)["FailedEntryCount"] == 0


def deliver(pipe, batch):
    """Delivers a batch. Unless all of it is delivered, it stays on the stream, and the next poll delivers it again."""
    if pipes._arn_service(pipe.get("Target", "")) != "events":
        return deliver_elsewhere(pipe, batch)
    if "Parameters" not in pipe:
        return False
    refused = refusal(pipe)
    if refused:
        logger.warning("Pipes %s: its role lacks %s", pipe["Name"], refused)
        return False
    passing = [record for record in batch if passes(pipe["Parameters"]["SourceParameters"], record)]
    try:
        return all(put(pipe, record) for record in passing)
    except (LookupError, TypeError, ValueError):
        logger.exception("Pipes %s: cannot make an event of a record", pipe["Name"])
        return False


handlers.update(create=create, update=update)
pipes._deliver_batch = deliver

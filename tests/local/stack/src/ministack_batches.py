"""Batches as AWS makes them for an event source mapping: up to `BatchSize` messages, collected for up to the batching window.

ministack passes on at most ten messages, without waiting.
"""

import threading
import time

from ministack.core.concurrency import esm_wake
from ministack.services import lambda_svc, sqs

receive_ten = sqs._receive_messages_for_esm
# Queues whose window is open, so that each has one timer.
open_windows = set()


def window_seconds(queue):
    arn = queue["attributes"].get("QueueArn")
    mappings = [esm for _, _, esm in lambda_svc._iter_all_esms() if esm.get("EventSourceArn") == arn]
    return max((float(esm.get("MaximumBatchingWindowInSeconds") or 0) for esm in mappings), default=0)


def close(queue_url):
    open_windows.discard(queue_url)
    esm_wake.set()


def receive(queue_url, size):
    now = time.time()
    with sqs._queues_lock:
        queue = sqs._get_q(queue_url)
        visible = [message.get("visible_at", now) for message in queue["messages"]]
        waiting = [since for since in visible if since <= now]
        left = min(waiting, default=now) + window_seconds(queue) - now
    if len(waiting) < size and left > 0:
        if waiting and queue_url not in open_windows:
            open_windows.add(queue_url)
            threading.Timer(left, close, [queue_url]).start()
        return []
    batch = []
    while len(batch) < size and (more := receive_ten(queue_url, size - len(batch))):
        batch += more
    return batch


sqs._receive_messages_for_esm = receive

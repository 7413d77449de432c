"""ministack, with three differences from AWS removed.

- Values in the filters of S3 notifications are URL-encoded.
- A DynamoDB query reads only the items that it may return. ministack sorts and compares all items of the partition for each page, which
  takes seconds for a table with a hundred thousand ledger entries.
- Pipes can lead from streams to event buses (`ministack_pipes.py`).

On request, event source mappings collect batches up to their size and window (`ministack_batches.py`).
"""

import os
import re
from bisect import bisect_left, bisect_right, insort
from urllib.parse import unquote_plus

from ministack.app import app  # noqa: F401: the server runs it
from ministack.services import dynamodb, s3

import ministack_pipes  # noqa: F401: the import patches ministack

if os.environ.get("BATCHING") == "true":
    import ministack_batches  # noqa: F401: likewise

matches = s3._key_matches_filter


def matches_decoded(key, prefix, suffix):
    return matches(key, *(value and unquote_plus(value) for value in (prefix, suffix)))


s3._key_matches_filter = matches_decoded

query, scan, set_item, remove_item = (
    dynamodb._query,
    dynamodb._scan,
    dynamodb._set_item,
    dynamodb._remove_item,
)
PAGE_BYTES = 1024 * 1024
CONDITION = re.compile(
    r"\S+ = (?P<partition>:\w+)( AND (begins_with\(\S+, (?P<prefix>:\w+)\)|\S+ BETWEEN (?P<low>:\w+) AND (?P<high>:\w+)))?"
)
# By table and partition: the items that were sorted, and their sort keys in order.
orders = {}


def order(table, partition):
    bucket = table["items"].get(partition, {})
    of, keys = orders.get((id(table), partition), (None, []))
    if of is not bucket or len(keys) != len(bucket):
        keys = sorted(bucket)
        orders[id(table), partition] = (bucket, keys)
    return keys


def set_item_in_order(table, partition, key, item):
    old = set_item(table, partition, key, item)
    if old is None and (id(table), partition) in orders:
        insort(orders[id(table), partition][1], key)
    return old


def remove_item_in_order(table, partition, key):
    old = remove_item(table, partition, key)
    keys = orders.get((id(table), partition), (None, []))[1]
    at = bisect_left(keys, key)
    if old is not None and at < len(keys) and keys[at] == key:
        del keys[at]
    return old


def page(table, data):
    """Returns the keys that a page of this query can contain, or None if the query has another form than those of the loader and its tools."""
    condition = CONDITION.fullmatch(data.get("KeyConditionExpression") or "")
    if data.get("IndexName") or not table or not table.get("sk_name") or not condition:
        return None
    given = {**data, **condition.groupdict()}
    values = data.get("ExpressionAttributeValues") or {}
    texts = {name: values.get(given[name], {}).get("S") for name in ("partition", "prefix", "low", "high") if given[name]}
    if None in texts.values():
        return None
    keys = order(table, texts["partition"])
    low, high = 0, len(keys)
    if "prefix" in texts:
        low, high = bisect_left(keys, texts["prefix"]), bisect_right(keys, texts["prefix"] + "\U0010ffff")
    elif "low" in texts:
        low, high = bisect_left(keys, texts["low"]), bisect_right(keys, texts["high"])
    forward = data.get("ScanIndexForward", True)
    after = ((data.get("ExclusiveStartKey") or {}).get(table["sk_name"]) or {}).get("S")
    if after is not None and forward:
        low = max(low, bisect_right(keys, after))
    elif after is not None:
        high = min(high, bisect_left(keys, after))
    # An item is at least as large as its keys, and a page has at most a megabyte. One more key shows that there is another page.
    smallest = len(table["pk_name"]) + len(texts["partition"]) + len(table["sk_name"]) + 1
    most = min(PAGE_BYTES // smallest + 2, int(data.get("Limit") or PAGE_BYTES) + 1)
    part = keys[low : min(high, low + most)] if forward else keys[max(low, high - most) : high]
    return texts["partition"], part


class Narrowed:
    """The tables, one of them reduced to some of its items."""

    def __init__(self, tables, name, table):
        self.tables, self.name, self.table = tables, name, table

    def get(self, name, *default):
        return self.table if name == self.name else self.tables.get(name, *default)

    def __getitem__(self, name):
        return self.table if name == self.name else self.tables[name]

    def __contains__(self, name):
        return name in self.tables

    def __getattr__(self, name):
        return getattr(self.tables, name)


def with_items(handle, data, items):
    """Swaps the global tables. This is safe because handlers do not await, so nothing else runs meanwhile."""
    tables, name = dynamodb._tables, dynamodb._normalize_table_name(data.get("TableName"))
    dynamodb._tables = Narrowed(tables, name, {**tables.get(name), "items": items})
    try:
        return handle(data)
    finally:
        dynamodb._tables = tables


def table_of(data):
    name = data.get("TableName")
    return dynamodb._tables.get(dynamodb._normalize_table_name(name)) if isinstance(name, str) else None


def query_a_page(data):
    table = table_of(data)
    found = page(table, data)
    if found is None:
        return query(data)
    partition, keys = found
    bucket = table["items"].get(partition, {})
    return with_items(query, data, {partition: {key: bucket[key] for key in keys}})


def scan_an_index(data):
    table = table_of(data)
    members = dynamodb._index_members(table).get(data["IndexName"]) if table and data.get("IndexName") else None
    if members is None:
        return scan(data)
    items = {}
    for partition, key in (place for places in members.values() for place in places):
        if key in table["items"].get(partition, {}):
            items.setdefault(partition, {})[key] = table["items"][partition][key]
    return with_items(scan, data, items)


dynamodb._query, dynamodb._scan = query_a_page, scan_an_index
dynamodb._set_item, dynamodb._remove_item = set_item_in_order, remove_item_in_order

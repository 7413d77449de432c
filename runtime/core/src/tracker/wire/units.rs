//! The size of items, by which DynamoDB bills writes.

use serde_json::{Map, Value};

/// Bytes of a write unit (DynamoDB developer guide, "DynamoDB on-demand capacity mode").
pub const WRITE_UNIT_BYTES: usize = 1024;

/// Removes an attribute if the item takes one write unit less without it.
pub(super) fn keep_if_free(attributes: &mut Map<String, Value>, name: &str) {
    let Some(value) = attributes.remove(name) else { return };
    let without = item_bytes(attributes).div_ceil(WRITE_UNIT_BYTES);
    attributes.insert(name.to_owned(), value);
    if item_bytes(attributes).div_ceil(WRITE_UNIT_BYTES) > without {
        attributes.remove(name);
    }
}

/// Size of an item by [DynamoDB's rules](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html).
pub fn item_bytes(attributes: &Map<String, Value>) -> usize {
    attributes.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &Value) -> usize {
    const CONTAINER: usize = 3;
    const MEMBER: usize = 1;
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(number) => number.to_string().len().div_ceil(2) + 1,
        Value::String(text) => text.len(),
        Value::Array(values) => CONTAINER + values.iter().map(|value| MEMBER + value_bytes(value)).sum::<usize>(),
        Value::Object(members) => CONTAINER + MEMBER * members.len() + item_bytes(members),
    }
}

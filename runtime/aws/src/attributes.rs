//! JSON to DynamoDB attribute values and back.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Number, Value};

/// Attributes of an item.
pub fn to_attributes(object: Map<String, Value>) -> HashMap<String, AttributeValue> {
    object.into_iter().map(|(name, value)| (name, to_attribute(value))).collect()
}

fn to_attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(value),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(values) => AttributeValue::L(values.into_iter().map(to_attribute).collect()),
        Value::Object(object) => AttributeValue::M(to_attributes(object)),
    }
}

#[allow(clippy::implicit_hasher, reason = "the SDK's own type")]
/// The item as JSON. Sets and binaries, which the loader never writes, become null.
pub fn to_json(attributes: HashMap<String, AttributeValue>) -> Map<String, Value> {
    attributes.into_iter().map(|(name, value)| (name, to_value(value))).collect()
}

fn to_value(value: AttributeValue) -> Value {
    match value {
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::N(text) => text.parse::<Number>().map_or(Value::Null, Value::Number),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(values) => Value::Array(values.into_iter().map(to_value).collect()),
        AttributeValue::M(object) => Value::Object(to_json(object)),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_goes_in_comes_back() {
        let Value::Object(object) = json!({"a": 1, "b": "x", "c": [true, {"d": -5_000_000_000_i64}]}) else { panic!() };
        assert_eq!(Value::Object(to_json(to_attributes(object.clone()))), Value::Object(object));
    }
}

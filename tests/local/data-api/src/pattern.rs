//! Matches events with `EventBridge`'s event patterns.
//!
//! A pattern contains a list of alternatives for each member that matters. A filter that is not supported here matches nothing, and is
//! logged.

use serde_json::{Map, Value};

/// Whether every member of the pattern matches.
pub fn matches(pattern: &Value, event: &Value) -> bool {
    match pattern {
        Value::Object(members) => object(members, event),
        _ => false,
    }
}

fn object(members: &Map<String, Value>, event: &Value) -> bool {
    members.iter().all(|(name, wanted)| match wanted {
        Value::Array(_) if name == "$or" => {
            wanted.as_array().is_some_and(|choices| choices.iter().any(|choice| matches(choice, event)))
        }
        Value::Array(alternatives) => member(alternatives, event.get(name)),
        Value::Object(nested) => object(nested, event.get(name).unwrap_or(&Value::Null)),
        _ => false,
    })
}

fn member(alternatives: &[Value], found: Option<&Value>) -> bool {
    match found {
        // One matching element of a list is enough.
        Some(Value::Array(values)) => {
            alternatives.iter().any(|wanted| values.iter().any(|value| alternative(wanted, Some(value))))
        }
        found => alternatives.iter().any(|wanted| alternative(wanted, found)),
    }
}

fn alternative(wanted: &Value, found: Option<&Value>) -> bool {
    match wanted {
        Value::Object(filter) => filter.iter().all(|(kind, argument)| apply(kind, argument, found)),
        exact => found == Some(exact),
    }
}

fn apply(kind: &str, argument: &Value, found: Option<&Value>) -> bool {
    let text = found.and_then(Value::as_str);
    let folded = |value: &Value| value.get("equals-ignore-case").and_then(Value::as_str).map(str::to_lowercase);
    match kind {
        "exists" => argument.as_bool() == Some(found.is_some()),
        "prefix" => match folded(argument) {
            Some(prefix) => text.is_some_and(|text| text.to_lowercase().starts_with(&prefix)),
            None => text.zip(argument.as_str()).is_some_and(|(text, prefix)| text.starts_with(prefix)),
        },
        "suffix" => match folded(argument) {
            Some(suffix) => text.is_some_and(|text| text.to_lowercase().ends_with(&suffix)),
            None => text.zip(argument.as_str()).is_some_and(|(text, suffix)| text.ends_with(suffix)),
        },
        "equals-ignore-case" => {
            text.zip(argument.as_str()).is_some_and(|(text, wanted)| text.to_lowercase() == wanted.to_lowercase())
        }
        "anything-but" => found.is_some() && !excluded(argument, found),
        "numeric" => found.and_then(Value::as_f64).is_some_and(|number| numeric(argument, number)),
        "wildcard" => text.zip(argument.as_str()).is_some_and(|(text, wanted)| wildcard(wanted, text)),
        unknown => {
            tracing::warn!(filter = unknown, "an event pattern has a filter that the stand-in does not know");
            false
        }
    }
}

fn excluded(argument: &Value, found: Option<&Value>) -> bool {
    match argument {
        Value::Array(values) => values.iter().any(|value| found == Some(value)),
        Value::Object(filter) => filter.iter().any(|(kind, argument)| match argument {
            Value::Array(choices) => choices.iter().any(|choice| apply(kind, choice, found)),
            one => apply(kind, one, found),
        }),
        exact => found == Some(exact),
    }
}

/// Evaluates conditions such as `[">", 0, "<=", 5]`.
fn numeric(argument: &Value, number: f64) -> bool {
    let Some(conditions) = argument.as_array().filter(|conditions| conditions.len() >= 2) else { return false };
    conditions.chunks(2).all(|condition| {
        let [Value::String(operator), limit] = condition else { return false };
        let Some(limit) = limit.as_f64() else { return false };
        match operator.as_str() {
            "=" => (number - limit).abs() < f64::EPSILON,
            "<" => number < limit,
            "<=" => number <= limit,
            ">" => number > limit,
            ">=" => number >= limit,
            _ => false,
        }
    })
}

fn wildcard(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            tail.char_indices().map(|(at, _)| &tail[at..]).chain([""]).any(|tail| wildcard(rest, tail))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({
            "source": "aws.redshift-data", "resources": ["arn:one", "arn:two"],
            "detail": {"state": "FINISHED", "statementName": "dev/sales/1", "rows": -1}
        })
    }

    fn check(pattern: &Value, expected: bool) {
        assert_eq!(matches(pattern, &event()), expected, "{pattern}");
    }

    #[test]
    fn exact_values_and_alternatives() {
        check(&json!({"source": ["aws.redshift-data"]}), true);
        check(&json!({"source": ["aws.s3"]}), false);
        check(&json!({"detail": {"state": ["FAILED", "FINISHED"]}}), true);
        check(&json!({"resources": ["arn:two"]}), true);
        check(&json!({"source": "aws.redshift-data"}), false);
    }

    #[test]
    fn prefixes() {
        check(&json!({"detail": {"statementName": [{"prefix": "dev/"}], "state": ["FINISHED"]}}), true);
        check(&json!({"detail": {"statementName": [{"prefix": "prod/"}]}}), false);
        check(&json!({"detail": {"statementName": [{"suffix": "/1"}]}}), true);
        check(&json!({"detail": {"statementName": [{"wildcard": "dev/*/1"}]}}), true);
    }

    #[test]
    fn exclusion_existence_and_numbers() {
        check(&json!({"detail": {"state": [{"anything-but": ["FAILED"]}]}}), true);
        check(&json!({"detail": {"statementName": [{"anything-but": {"prefix": "dev/"}}]}}), false);
        check(&json!({"detail": {"missing": [{"exists": false}]}}), true);
        check(&json!({"detail": {"state": [{"exists": false}]}}), false);
        check(&json!({"detail": {"rows": [{"numeric": [">=", -1, "<", 0]}]}}), true);
        check(&json!({"$or": [{"source": ["x"]}, {"detail": {"rows": [-1]}}]}), true);
        check(&json!({"detail": {"missing": ["x"]}}), false);
    }
}

//! Formats JSON for people and for diffs: indented by two spaces, with each object or list on one line if it fits.
//!
//! The same value always gives the same bytes.

use std::fmt::Write;

use serde_json::Value as Json;

/// Maximum length of a line that contains a whole object or list.
const LINE_CHARACTERS_MAX: usize = 140;

/// Formats `value`; the text ends in a line feed.
pub fn pretty(value: &Json) -> String {
    let mut text = String::new();
    write_value(&mut text, value, 0, 0);
    text.push('\n');
    text
}

/// `taken` is the number of characters already on the line, not counting the indentation.
fn write_value(text: &mut String, value: &Json, depth: usize, taken: usize) {
    let short = one_line(value);
    let fits = 2 * depth + taken + short.chars().count() < LINE_CHARACTERS_MAX;
    match value {
        Json::Object(fields) if !fits && !fields.is_empty() => {
            let items = fields.iter().map(|(name, value)| (format!("{}: ", Json::from(name.as_str())), value));
            write_items(text, items, depth, ['{', '}']);
        }
        Json::Array(items) if !fits && !items.is_empty() => {
            write_items(text, items.iter().map(|value| (String::new(), value)), depth, ['[', ']']);
        }
        _ => text.push_str(&short),
    }
}

fn write_items<'a>(
    text: &mut String,
    items: impl Iterator<Item = (String, &'a Json)>,
    depth: usize,
    brackets: [char; 2],
) {
    text.push(brackets[0]);
    for (index, (label, value)) in items.enumerate() {
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        let _ = write!(text, "{:indent$}{label}", "", indent = 2 * depth + 2);
        write_value(text, value, depth + 1, label.chars().count() + 1);
    }
    let _ = write!(text, "\n{:indent$}{}", "", brackets[1], indent = 2 * depth);
}

/// Formats `value` without spaces, but with one line for each field two levels down, so that a diff still shows which resource changed.
pub fn dense(value: &Json) -> String {
    let empty = serde_json::Map::new();
    let sections = value.as_object().unwrap_or(&empty).iter().map(|(name, section)| {
        let text = match section {
            Json::Object(fields) => {
                let lines: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{}:{value}", Json::from(name.as_str()))).collect();
                format!("{{\n{}}}", lines.join(",\n"))
            }
            other => other.to_string(),
        };
        format!("{}:{text}", Json::from(name.as_str()))
    });
    format!("{{{}}}\n", sections.collect::<Vec<_>>().join(",\n"))
}

fn one_line(value: &Json) -> String {
    match value {
        Json::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", Json::from(name.as_str()), one_line(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Json::Array(items) => format!("[{}]", items.iter().map(one_line).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_dense_layout_has_a_line_per_resource() {
        let value = json!({"Description": "d", "Resources": {"A": {"x": [1, 2]}, "B": {}}});
        let expected = "{\"Description\":\"d\",\n\"Resources\":{\n\"A\":{\"x\":[1,2]},\n\"B\":{}}}\n";
        assert_eq!(dense(&value), expected);
    }

    #[test]
    fn an_object_or_list_that_fits_stays_on_one_line() {
        let value = json!({"a": [1, {"b": "c"}], "long": "x".repeat(130), "none": {}});
        let text = pretty(&value);
        assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), value);
        assert!(text.starts_with("{\n  \"a\": [1, {\"b\": \"c\"}],\n"), "{text}");
        assert!(text.ends_with(",\n  \"none\": {}\n}\n"), "{text}");
    }
}

//! Writes JSON for people and for diffs: two spaces, and whatever fits a line stays on one line.
//!
//! The same value always gives the same bytes, and far fewer than one line per bracket: a template must stay below 51,200.

use std::fmt::Write;

use serde_json::Value as Json;

/// Characters of a line that holds a whole object or list.
const LINE_CHARACTERS_MAX: usize = 140;

/// The text of `value`, ending in a line feed.
pub fn pretty(value: &Json) -> String {
    let mut text = String::new();
    write_value(&mut text, value, 0, 0);
    text.push('\n');
    text
}

/// `taken`: characters that stand on the line already, beside the indentation.
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
    fn what_fits_a_line_stays_on_it() {
        let value = json!({"a": [1, {"b": "c"}], "long": "x".repeat(130), "none": {}});
        let text = pretty(&value);
        assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), value);
        assert!(text.starts_with("{\n  \"a\": [1, {\"b\": \"c\"}],\n"), "{text}");
        assert!(text.ends_with(",\n  \"none\": {}\n}\n"), "{text}");
    }
}

//! Reads records of JSON files: consecutive objects, whose members are matched to columns by name or by `JSONPaths`.
//!
//! Numbers are read as 64-bit integers or floating point, so a decimal of more than 15 digits loses precision.

use serde::Deserialize;
use serde_json::{Deserializer, Value};

use super::convert::Problem;
use super::options::JsonMapping;
use super::target::{Column, Kind};
use super::text::Record;
use crate::errors::SqlError;

/// How the values of the columns are found in an object.
#[derive(Clone, Debug)]
pub enum Mapping {
    Names,
    NamesIgnoreCase,
    /// The whole object is the value of the single SUPER column.
    Whole,
    /// One path per column.
    Paths(Vec<Vec<Step>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Member(String),
    Element(usize),
}

/// `paths` is the content of the `JSONPaths` file, if one is given.
pub fn mapping(json: &JsonMapping, paths: Option<&[u8]>, columns: &[Column]) -> Result<Mapping, SqlError> {
    match json {
        JsonMapping::Auto => Ok(Mapping::Names),
        JsonMapping::AutoIgnoreCase => Ok(Mapping::NamesIgnoreCase),
        JsonMapping::NoShred if columns.len() == 1 && columns[0].kind == Kind::Super => Ok(Mapping::Whole),
        JsonMapping::NoShred => Err(SqlError::new("JSON noshred requires a single column of type SUPER")),
        JsonMapping::Paths(_) => {
            let paths = parse_paths(paths.unwrap_or_default())?;
            if paths.len() != columns.len() {
                return Err(SqlError::new(format!(
                    "Number of jsonpaths and the number of columns should match. JSONPath size: {}, Number of columns in table or column list: {}",
                    paths.len(),
                    columns.len()
                )));
            }
            Ok(Mapping::Paths(paths))
        }
    }
}

#[derive(Deserialize)]
struct PathsFile {
    jsonpaths: Vec<String>,
}

fn parse_paths(file: &[u8]) -> Result<Vec<Vec<Step>>, SqlError> {
    let file: PathsFile =
        serde_json::from_slice(file).map_err(|error| SqlError::new(format!("Invalid JSONPath format: {error}")))?;
    file.jsonpaths
        .iter()
        .map(|path| {
            steps(path)
                .ok_or_else(|| SqlError::new(format!("Invalid JSONPath format: Member is not an object: {path}")))
        })
        .collect()
}

/// Parses paths such as `$.a.b[0]` and `$['a']['b'][0]`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.trim().strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(member) = rest.strip_prefix('.') {
            let end = member.find(['.', '[']).unwrap_or(member.len());
            steps.push(Step::Member(member.get(..end).filter(|name| !name.is_empty())?.to_owned()));
            rest = &member[end..];
        } else {
            let (inner, after) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = inner.strip_prefix(['\'', '"']).and_then(|name| name.strip_suffix(['\'', '"']));
            steps.push(match quoted {
                Some(name) => Step::Member(name.to_owned()),
                None => Step::Element(inner.parse().ok()?),
            });
            rest = after;
        }
    }
    Some(steps)
}

pub fn records(bytes: &[u8], mapping: &Mapping, columns: &[Column]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut line = 1;
    let mut counted = 0;
    let mut stream = Deserializer::from_slice(bytes).into_iter::<Value>();
    loop {
        let start = counted + blank(&bytes[counted..]);
        line += newlines(&bytes[counted..start]);
        let Some(next) = stream.next() else { return records };
        let end = if next.is_ok() { stream.byte_offset() } else { bytes.len() };
        let raw = String::from_utf8_lossy(&bytes[start..end]).trim_end().to_owned();
        let broken = next.is_err();
        let fields = match next {
            Ok(object @ Value::Object(_)) => Ok(fields(&object, mapping, columns)),
            Ok(_) => Err(Problem::new(1216, "Invalid JSONPath format: Member is not an object.")),
            Err(error) => Err(Problem::new(1216, format!("Invalid JSON: {error}"))),
        };
        records.push(Record { line, raw, fields });
        if broken {
            return records;
        }
        line += newlines(&bytes[start..end]);
        counted = end;
    }
}

fn blank(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').skip(1).count() as u64
}

fn fields(object: &Value, mapping: &Mapping, columns: &[Column]) -> Vec<Option<String>> {
    let member = |column: &Column, fold: bool| {
        object.as_object().and_then(|members| {
            members
                .iter()
                .find(|(name, _)| if fold { name.to_lowercase() == column.name } else { **name == column.name })
        })
    };
    let found = |value: Option<&Value>, column: &Column| value.and_then(|value| text(value, &column.kind));
    match mapping {
        Mapping::Whole => vec![Some(object.to_string())],
        Mapping::Names => {
            columns.iter().map(|column| found(member(column, false).map(|(_, value)| value), column)).collect()
        }
        Mapping::NamesIgnoreCase => {
            columns.iter().map(|column| found(member(column, true).map(|(_, value)| value), column)).collect()
        }
        Mapping::Paths(paths) => {
            paths.iter().zip(columns).map(|(path, column)| found(follow(object, path), column)).collect()
        }
    }
}

fn follow<'a>(object: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Element(index) => value.get(index),
    })
}

fn text(value: &Value, kind: &Kind) -> Option<String> {
    match (value, kind) {
        (Value::Null, _) => None,
        (value, Kind::Super) => Some(value.to_string()),
        (Value::String(text), _) => Some(text.clone()),
        (other, _) => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        let column = |name: &str, kind| Column { name: name.into(), kind, type_name: String::new(), required: false };
        vec![column("id", Kind::Integer), column("name", Kind::Varchar(10)), column("more", Kind::Super)]
    }

    fn check(mapping: &Mapping, bytes: &str, expected: &str) {
        let shown = |record: Record| match record.fields {
            Ok(fields) => {
                let fields: Vec<_> = fields.into_iter().map(|field| field.unwrap_or("∅".into())).collect();
                format!("{}:{}", record.line, fields.join("·"))
            }
            Err(problem) => format!("{}:{}", record.line, problem.code),
        };
        let records = records(bytes.as_bytes(), mapping, &columns());
        assert_eq!(records.into_iter().map(shown).collect::<Vec<_>>().join(" / "), expected);
    }

    #[test]
    fn names_match_exactly_unless_ignorecase_is_given() {
        let file = "{\"id\": 1, \"Name\": \"a\", \"more\": [1, {}]}\n\n{\"id\": null,\n \"x\": 2}";
        check(&Mapping::Names, file, "1:1·∅·[1,{}] / 3:∅·∅·∅");
        check(&Mapping::NamesIgnoreCase, file, "1:1·a·[1,{}] / 3:∅·∅·∅");
    }

    #[test]
    fn paths_reach_into_the_object() {
        let file = br#"{"jsonpaths": ["$.a.b[1]", "$['c d']", "$.m"]}"#;
        let mapping = mapping(&JsonMapping::Paths(String::new()), Some(file), &columns()).expect("paths");
        check(&mapping, r#"{"a":{"b":[1,2]},"c d":"x","m":"s"}"#, "1:2·x·\"s\"");
    }

    #[test]
    fn nothing_is_read_after_invalid_json() {
        check(&Mapping::Names, "{\"id\":1}\n{\"id\":\n[]\n", "1:1·∅·∅ / 2:1216");
        check(&Mapping::Names, "[{\"id\":1}]", "1:1216");
    }

    #[test]
    fn paths_must_match_the_columns() {
        let file = br#"{"jsonpaths": ["$.a"]}"#;
        let error = mapping(&JsonMapping::Paths(String::new()), Some(file), &columns()).expect_err("refused");
        assert!(error.text.starts_with("ERROR: Number of jsonpaths and the number of columns should match."));
    }
}

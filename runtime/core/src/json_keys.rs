//! Reads the keys of a JSON file's objects from its beginning, and the paths of a JSONPaths file.
//!
//! A file consists of objects one after the other, as COPY expects (Redshift database guide, "COPY from JSON format"). Only top-level keys
//! belong to columns; keys inside values do not count.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Deserializer;

use crate::copy_options::HEAD_BYTES;
use crate::parquet::FileColumn;

/// Bytes to read of a JSONPaths file: enough for 1600 columns (Redshift's limit) with paths of 300 bytes.
pub const PATHS_BYTES_MAX: u64 = 512 * 1024;

/// Why the beginning of a file, or its JSONPaths file, cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKeys {
    /// It contains something other than objects, or is not JSON.
    #[error("it does not begin with JSON objects, one after the other")]
    NotObjects,
    /// No object has a key, or the first key is not complete.
    #[error("its first {HEAD_BYTES} bytes have no key")]
    Empty,
    /// It is not a JSONPaths file.
    #[error("it is not `{{\"jsonpaths\": [\"$.key\", …]}}`")]
    NotPaths,
}

/// The distinct keys of the objects, in alphabetical order. `head` is the beginning of the file; `is_whole` says whether it is the whole
/// file.
pub fn keys(head: &[u8], is_whole: bool) -> Result<Vec<FileColumn>, NoKeys> {
    let mut found = BTreeSet::new();
    let mut objects = Deserializer::from_slice(head);
    while objects.end().is_err() {
        match objects.deserialize_map(Keys(&mut found)) {
            Ok(()) => {}
            // The keys that were read from an incomplete object are certain.
            Err(error) if error.is_eof() && !is_whole => break,
            Err(_) => return Err(NoKeys::NotObjects),
        }
    }
    if found.is_empty() {
        return Err(NoKeys::Empty);
    }
    Ok(found.into_iter().map(FileColumn::named).collect())
}

/// The paths of a JSONPaths file, in their order.
pub fn paths(text: &[u8]) -> Result<Vec<String>, NoKeys> {
    #[derive(Deserialize)]
    struct File {
        jsonpaths: Vec<String>,
    }
    let File { jsonpaths } = serde_json::from_slice(text).map_err(|_| NoKeys::NotPaths)?;
    if jsonpaths.is_empty() { Err(NoKeys::NotPaths) } else { Ok(jsonpaths) }
}

/// The paths as columns of a file with these keys; empty if every path begins with a key that the file does not have.
pub fn along(paths: &[String], keys: &[FileColumn]) -> Vec<FileColumn> {
    let is_found = |path: &String| first_key(path).is_none_or(|(key, _)| keys.iter().any(|column| column.name == key));
    if paths.iter().any(is_found) { paths.iter().cloned().map(FileColumn::named).collect() } else { Vec::new() }
}

/// The first key of a path, and whether the path ends there: `$.key`, `$['key']`. `None` if that is uncertain.
pub fn first_key(path: &str) -> Option<(&str, bool)> {
    let rest = path.trim().strip_prefix('$')?;
    let (key, after) = if let Some(member) = rest.strip_prefix('.') {
        member.split_at(member.find(['.', '[']).unwrap_or(member.len()))
    } else {
        let inner = rest.strip_prefix('[')?;
        let quote = inner.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
        let (key, after) = inner[1..].split_once(quote)?;
        (key, after.strip_prefix(']')?)
    };
    (!key.is_empty() && !key.contains('\\')).then_some((key, after.is_empty()))
}

/// Collects the keys of an object, even if it is incomplete.
struct Keys<'a>(&'a mut BTreeSet<String>);

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key()? {
            self.0.insert(key);
            object.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(head: &str, is_whole: bool) -> Result<Vec<String>, NoKeys> {
        Ok(keys(head.as_bytes(), is_whole)?.into_iter().map(|column| column.name).collect())
    }

    #[test]
    fn the_keys_of_all_objects_are_read_and_nothing_of_their_values() {
        let objects = "{\"id\": 1, \"a\": {\"b\": [{\"c\": 1}]}}\n{\"id\":2,\"d e\":null}{\"\\u0069\":0}\r\n";
        assert_eq!(names(objects, true).unwrap(), ["a", "d e", "i", "id"]);
        assert_eq!(
            names(&format!("{{\"deep\": {}{}}}", "[".repeat(9_999), "]".repeat(9_999)), true).unwrap(),
            ["deep"]
        );
    }

    #[test]
    fn an_object_that_is_cut_off_gives_its_complete_keys() {
        assert_eq!(names("{\"id\": 1}\n{\"id\": 2, \"n\": \"x", false).unwrap(), ["id", "n"]);
        assert_eq!(names("{\"id\": 1, \"lon", false).unwrap(), ["id"]);
        assert_eq!(names("{\"id\": 1, \"lon", true), Err(NoKeys::NotObjects));
        assert_eq!(names("{\"lon", false), Err(NoKeys::Empty));
    }

    #[test]
    fn a_file_without_objects_or_keys_is_not_used() {
        for text in ["[{\"id\": 1}]", "id,n\n1,2\n", "{\"id\": 1},{\"id\": 2}", "7", "\u{feff}{\"id\": 1}"] {
            assert_eq!(names(text, true), Err(NoKeys::NotObjects), "{text}");
        }
        assert_eq!(names(" {} \n{}", true), Err(NoKeys::Empty));
        assert_eq!(names("", true), Err(NoKeys::Empty));
    }

    #[test]
    fn paths_begin_with_a_key() {
        let file = br#"{"jsonpaths": ["$.id", "$['a b']", "$.a[0]", "$[0]"]}"#;
        assert_eq!(paths(file).unwrap(), ["$.id", "$['a b']", "$.a[0]", "$[0]"]);
        assert_eq!(paths(b"{\"jsonpaths\": []}"), Err(NoKeys::NotPaths));
        assert_eq!(paths(b"{\"paths\": [\"$.id\"]}"), Err(NoKeys::NotPaths));
        assert_eq!(first_key("$.id"), Some(("id", true)));
        assert_eq!(first_key("$[\"a b\"]"), Some(("a b", true)));
        assert_eq!(first_key("$['a']['b']"), Some(("a", false)));
        assert_eq!(first_key("$.a[0]"), Some(("a", false)));
        for uncertain in ["$", "$.", "$[0]", "id", "$['a", "$['']", "$['a\\'b']"] {
            assert_eq!(first_key(uncertain), None, "{uncertain}");
        }
    }

    #[test]
    fn a_file_without_any_key_of_the_paths_has_no_columns() {
        let found = |paths: &[&str]| {
            let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
            along(&paths, &keys(b"{\"id\": 1}", true).unwrap()).len()
        };
        assert_eq!(found(&["$.n", "$.id.x"]), 2);
        assert_eq!(found(&["$.n", "$.ID"]), 0);
        assert_eq!(found(&["$.n", "$[0]"]), 2, "not certain");
    }

    proptest! {
        #[test]
        fn any_keys_that_are_written_are_read_up_to_any_cut(
            keys in proptest::collection::vec(proptest::collection::btree_set(".{0,9}", 1..5), 1..5),
            cut in any::<proptest::sample::Index>(),
        ) {
            let object = |keys: &BTreeSet<String>| {
                let members = keys.iter().map(|key| (key.clone(), serde_json::json!({"x": [key, 1.5, null]})));
                serde_json::Value::Object(members.collect()).to_string()
            };
            let text = keys.iter().map(object).collect::<Vec<_>>().join("\n");
            let all: BTreeSet<String> = keys.into_iter().flatten().collect();
            prop_assert_eq!(names(&text, true).unwrap(), all.iter().cloned().collect::<Vec<_>>());
            if let Ok(some) = super::keys(&text.as_bytes()[..cut.index(text.len())], false) {
                prop_assert!(some.iter().all(|column| all.contains(&column.name)), "{:?}", some);
            }
        }

        #[test]
        fn any_bytes_are_read_or_not(head in proptest::collection::vec(any::<u8>(), 0..99), is_whole: bool) {
            let _ = keys(&head, is_whole);
            let _ = paths(&head);
        }

        #[test]
        fn any_text_is_read_or_not(head in "[\\[\\]{}\":,\\\\ u0-9a-e$.'\u{e9}\n-]{0,60}", is_whole: bool) {
            let _ = keys(head.as_bytes(), is_whole);
            let _ = first_key(&head);
        }
    }
}

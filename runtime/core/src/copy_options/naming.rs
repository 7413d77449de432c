//! Whether and how the beginning of the files names their columns.

use super::{CopyOptions, FileFormat};
use crate::folder::SourceFolder;

/// Bytes to read from the beginning of a file: enough for 1600 columns (Redshift's limit) with names of 40 bytes.
pub const HEAD_BYTES: u64 = 64 * 1024;

/// How the beginning of a file names its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// CSV: in its first line.
    Header(Header),
    /// JSON: by the keys of its objects, which COPY matches to the names of the columns.
    Keys {
        /// Whether case does not matter, so that the key `ID` belongs to the column `id`.
        any_case: bool,
    },
    /// JSON: by a JSONPaths file, which lists the path for each column, in order.
    Paths(JsonPaths),
}

/// How the fields of a line are separated and quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Separates fields.
    pub delimiter: char,
    /// Encloses a field.
    pub quote: char,
}

/// The location of a JSONPaths file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPaths {
    /// Bucket name.
    pub bucket: String,
    /// Object key.
    pub key: String,
}

impl CopyOptions {
    /// How the beginning of the files names their columns; `None` if it does not, or may not.
    pub fn naming(&self) -> Option<Naming> {
        let unreadable = ["GZIP", "BZIP2", "LZOP", "ZSTD", "ENCODING"];
        if unreadable.iter().any(|name| self.has(name)) {
            return None;
        }
        match self.format {
            FileFormat::Csv => self.header().map(Naming::Header),
            FileFormat::Json => self.keys(),
            FileFormat::Parquet | FileFormat::Orc | FileFormat::Avro | FileFormat::Text => None,
        }
    }

    fn header(&self) -> Option<Header> {
        let ignored = self.argument("IGNOREHEADER").is_some_and(|count| count.trim_matches('\'') == "1");
        let character = |name: &str, default: char| match self.argument(name) {
            None => Some(default),
            Some(text) => one_character(&text),
        };
        ignored.then_some(())?;
        Some(Header { delimiter: character("DELIMITER", ',')?, quote: character("QUOTE", '"')? })
    }

    /// `'noshred'` loads whole objects into one column, so there are no names.
    fn keys(&self) -> Option<Naming> {
        match self.format_argument.as_deref()? {
            "auto" => Some(Naming::Keys { any_case: false }),
            "auto ignorecase" => Some(Naming::Keys { any_case: true }),
            url => {
                let SourceFolder { bucket, prefix: key } = SourceFolder::parse(url).ok()?;
                (!key.is_empty()).then_some(Naming::Paths(JsonPaths { bucket, key }))
            }
        }
    }

    fn argument(&self, name: &str) -> Option<String> {
        let (_, argument) = self.rest.iter().find(|(option, _)| *option == name)?;
        argument.as_ref().map(ToString::to_string)
    }
}

/// The single character of a literal. Redshift reads `\t` as a tab.
fn one_character(literal: &str) -> Option<char> {
    let text = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut characters = text.chars();
    match (characters.next()?, characters.next(), characters.next()) {
        ('\\', Some('t'), None) => Some('\t'),
        (one, None, None) if one != '\\' && !one.is_alphanumeric() => Some(one),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_its_columns_by_keys_or_paths_where_it_can_be_read() {
        let naming = |text: &str| CopyOptions::parse(text).unwrap().naming();
        let paths = JsonPaths { bucket: "bucket".to_owned(), key: "a/paths.json".to_owned() };
        assert_eq!(naming("JSON"), Some(Naming::Keys { any_case: false }));
        assert_eq!(naming("JSON 'auto ignorecase'"), Some(Naming::Keys { any_case: true }));
        assert_eq!(naming("JSON 's3://bucket/a/paths.json'"), Some(Naming::Paths(paths)));
        for other in ["JSON 'noshred'", "JSON 's3://bucket'", "JSON GZIP", "JSON ENCODING UTF16", "AVRO 'auto'", "CSV"]
        {
            assert_eq!(naming(other), None, "{other}");
        }
    }
}

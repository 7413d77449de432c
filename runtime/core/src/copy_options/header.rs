//! Whether the first line of the files holds the names of their columns, and how it is read.

use super::{CopyOptions, FileFormat};

/// How fields are told apart in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Between two fields.
    pub delimiter: char,
    /// Around a field.
    pub quote: char,
}

impl CopyOptions {
    /// How the first line of the files is read as the names of their columns; `None` where it holds none, or not for certain.
    pub fn header(&self) -> Option<Header> {
        let unreadable = ["GZIP", "BZIP2", "LZOP", "ZSTD", "ENCODING"];
        let ignored = self.argument("IGNOREHEADER").is_some_and(|count| count.trim_matches('\'') == "1");
        if self.format != FileFormat::Csv || !ignored || unreadable.iter().any(|name| self.has(name)) {
            return None;
        }
        let character = |name: &str, default: char| match self.argument(name) {
            None => Some(default),
            Some(text) => one_character(&text),
        };
        Some(Header { delimiter: character("DELIMITER", ',')?, quote: character("QUOTE", '"')? })
    }

    fn argument(&self, name: &str) -> Option<String> {
        let (_, argument) = self.rest.iter().find(|(option, _)| *option == name)?;
        argument.as_ref().map(ToString::to_string)
    }
}

/// The character in a literal, of which Redshift reads `\t` as a tab.
fn one_character(literal: &str) -> Option<char> {
    let text = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut characters = text.chars();
    match (characters.next()?, characters.next(), characters.next()) {
        ('\\', Some('t'), None) => Some('\t'),
        (one, None, None) if one != '\\' && !one.is_alphanumeric() => Some(one),
        _ => None,
    }
}

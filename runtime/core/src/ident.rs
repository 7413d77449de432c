//! Identifiers: what a user may write, how Redshift folds it, and how it is quoted.
//!
//! Redshift folds quoted and unquoted identifiers to lower case unless `enable_case_sensitive_identifier` is on (database guide, names
//! and identifiers). Here, an unquoted name is folded, and a name in double quotes is kept as written.

use std::fmt;

use crate::limits::IDENTIFIER_BYTES_MAX;

/// Why a text is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentError {
    /// The name is empty.
    #[error("the name in `{0}` is empty: write `table` or `schema.table`")]
    Empty(String),
    /// The name is too long. Redshift would silently truncate it, and two names could become one.
    #[error("`{0}` is longer than {IDENTIFIER_BYTES_MAX} bytes, which Redshift would silently truncate: shorten it")]
    TooLong(String),
    /// An unquoted name contains a character that is not allowed.
    #[error(
        "`{0}` has `{1}`, which a name may only have in double quotes: start it with a letter or `_`, continue with letters, digits, `_` or `$`, or write \"{0}\""
    )]
    Character(String, char),
    /// A quote is not closed, or text follows the closing quote.
    #[error("the double quotes in `{0}` do not match: write \"schema\".\"table\", and double a quote inside a name")]
    Quotes(String),
    /// The name has more parts than `schema.table`.
    #[error("`{0}` has more than two parts: write `table` or `schema.table`; the database is `cluster.db_name`")]
    Parts(String),
}

/// A column, schema or table name, folded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ident(String);

impl Ident {
    /// Reads one name, quoted or unquoted.
    pub fn parse(text: &str) -> Result<Self, IdentError> {
        match parts(text)?.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(IdentError::Character(text.to_owned(), '.')),
        }
    }

    /// A name as the warehouse reports it.
    pub fn exact(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The folded name without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// In double quotes; a quote inside the name is doubled.
impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// `schema.table`, folded. A name without a schema is in `public`, so `sales` and `public.sales` share one slot, and a staging table can
/// never shadow the target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// Schema, folded.
    pub schema: String,
    /// Table, folded.
    pub table: String,
}

impl TableName {
    /// Reads `table` or `schema.table`.
    pub fn parse(text: &str) -> Result<Self, IdentError> {
        match parts(text)?.as_slice() {
            [table] => Ok(Self { schema: "public".into(), table: table.0.clone() }),
            [schema, table] => Ok(Self { schema: schema.0.clone(), table: table.0.clone() }),
            _ => Err(IdentError::Parts(text.to_owned())),
        }
    }

    /// Another table of the same schema, with a suffix appended to the name. An error if the name becomes too long.
    pub fn with_suffix(&self, suffix: &str) -> Result<Self, IdentError> {
        let table = format!("{}{suffix}", self.table);
        Ok(Self { schema: self.schema.clone(), table: checked(&table, table.clone())?.0 })
    }
}

/// In double quotes: `"schema"."table"`.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", Ident(self.schema.clone()), Ident(self.table.clone()))
    }
}

/// Splits a name at the dots outside quotes.
fn parts(text: &str) -> Result<Vec<Ident>, IdentError> {
    let mut rest = text.trim();
    let mut found = Vec::new();
    loop {
        let (ident, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_part(text, quoted)?
        } else {
            plain_part(text, rest)?
        };
        found.push(ident);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(found),
            None => return Err(IdentError::Quotes(text.to_owned())),
        }
    }
}

fn quoted_part<'a>(text: &str, after_quote: &'a str) -> Result<(Ident, &'a str), IdentError> {
    let mut name = String::new();
    let mut characters = after_quote.char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' if characters.next_if(|(_, next)| *next == '"').is_some() => name.push('"'),
            '"' => return Ok((checked(text, name)?, &after_quote[index + 1..])),
            other => name.push(other),
        }
    }
    Err(IdentError::Quotes(text.to_owned()))
}

fn plain_part<'a>(text: &str, rest: &'a str) -> Result<(Ident, &'a str), IdentError> {
    let end = rest.find('.').unwrap_or(rest.len());
    let name = &rest[..end];
    let allowed = |index: usize, c: char| {
        c.is_ascii_alphabetic() || c == '_' || !c.is_ascii() || (index > 0 && (c.is_ascii_digit() || c == '$'))
    };
    if let Some((_, wrong)) = name.char_indices().find(|(index, c)| !allowed(*index, *c)) {
        return Err(IdentError::Character(name.to_owned(), wrong));
    }
    Ok((checked(text, name.to_ascii_lowercase())?, &rest[end..]))
}

fn checked(text: &str, name: String) -> Result<Ident, IdentError> {
    if name.is_empty() {
        return Err(IdentError::Empty(text.to_owned()));
    }
    if name.len() > IDENTIFIER_BYTES_MAX {
        return Err(IdentError::TooLong(name));
    }
    Ok(Ident(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = TableName::parse(text).map_or_else(|error| error.to_string(), |name| name.to_string());
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn a_name_without_schema_is_in_public() {
        check("sales", r#""public"."sales""#);
        check("public.sales", r#""public"."sales""#);
    }

    #[test]
    fn unquoted_names_are_folded_quoted_ones_kept() {
        check("Shop.Sales", r#""shop"."sales""#);
        check(r#"shop."Sales""#, r#""shop"."Sales""#);
    }

    #[test]
    fn quotes_and_dots_inside_quotes_belong_to_the_name() {
        check(r#""my.schema"."a""b""#, r#""my.schema"."a""b""#);
    }

    #[test]
    fn an_invalid_name_is_refused_with_the_remedy() {
        check(
            "a b",
            "`a b` has ` `, which a name may only have in double quotes: start it with a letter or `_`, continue with letters, digits, `_` or `$`, or write \"a b\"",
        );
        check("", "the name in `` is empty: write `table` or `schema.table`");
        check(
            "a.b.c",
            "`a.b.c` has more than two parts: write `table` or `schema.table`; the database is `cluster.db_name`",
        );
        check(
            "\"a",
            "the double quotes in `\"a` do not match: write \"schema\".\"table\", and double a quote inside a name",
        );
        assert!(matches!(TableName::parse(&"x".repeat(128)), Err(IdentError::TooLong(_))));
        assert!(TableName::parse("x; drop table y").is_err());
    }
}

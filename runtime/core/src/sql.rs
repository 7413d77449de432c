//! The SQL of a load. Identifiers are quoted in one place (`crate::ident`); literals are escaped in one place (`literal`).

pub mod columns;
pub mod copy;
pub mod merge;

/// A string literal. Quotes are doubled, and so are backslashes, because Redshift reads `\` as an escape character in a literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

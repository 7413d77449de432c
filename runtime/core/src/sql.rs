//! The SQL of a load. Identifiers are quoted in one place (`crate::ident`), literals escaped in one place (`literal`).

pub mod columns;
pub mod copy;
pub mod merge;

/// A string literal: quotes doubled, backslashes too, because Redshift reads `\` as an escape in a literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

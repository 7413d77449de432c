//! The SQL of a load. Identifiers are quoted in one place (`ident`), literals escaped in one place (`literal`).

pub mod columns;
pub mod copy;
pub mod ident;
pub mod merge;
pub mod options;

/// A string literal: quotes doubled, backslashes too, because Redshift reads `\` as an escape in a literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

//! The name of a table in a statement.

use sqlparser::tokenizer::Token;

use crate::errors::SqlError;
use crate::lexeme::{Lexeme, quoted};

/// The name of a table in a statement, folded to lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    pub schema: Option<String>,
    pub name: String,
}

impl TableName {
    /// The name, quoted for PostgreSQL.
    pub fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.name)),
            None => quoted(&self.name),
        }
    }
}

/// Reads `name` or `schema.name` at this index.
pub fn table_at(lexemes: &[Lexeme], index: usize) -> Result<TableName, SqlError> {
    let part = |index: usize| match lexemes.get(index) {
        Some(lexeme) => lexeme.identifier().ok_or_else(|| lexeme.syntax_error()),
        None => Err(SqlError::syntax("", lexemes.last().map_or(1, |last| last.position))),
    };
    let first = part(index)?;
    if lexemes.get(index + 1).is_some_and(|lexeme| lexeme.token == Token::Period) {
        return Ok(TableName { schema: Some(first), name: part(index + 2)? });
    }
    Ok(TableName { schema: None, name: first })
}

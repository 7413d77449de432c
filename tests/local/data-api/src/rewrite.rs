//! Translates Redshift's expressions to PostgreSQL's, and refuses PostgreSQL syntax that Redshift does not have.
//!
//! This applies to every statement. Table definitions are translated in `create_table` and `alter_table`.

use sqlparser::tokenizer::Token;

use crate::errors::SqlError;
use crate::lexeme::{Lexeme, keyword};

/// Refuses what Redshift refuses, and translates the rest.
pub fn rewrite(lexemes: &[Lexeme]) -> Result<Vec<Lexeme>, SqlError> {
    for index in 0..lexemes.len() {
        refuse(lexemes, index)?;
    }
    Ok(translate(lexemes))
}

/// System columns of PostgreSQL that Redshift does not have.
const SYSTEM_COLUMNS: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

fn refuse(lexemes: &[Lexeme], index: usize) -> Result<(), SqlError> {
    let lexeme = &lexemes[index];
    if is_foreign_operator(&lexeme.token) {
        return Err(SqlError::new(format!("operator does not exist: {}", lexeme.near())));
    }
    if !matches!(lexeme.token, Token::DollarQuotedString(_) | Token::Word(_)) {
        return Ok(());
    }
    let Some(word) = lexeme.word() else { return Ok(()) };
    if SYSTEM_COLUMNS.iter().any(|column| word.eq_ignore_ascii_case(column)) {
        return Err(SqlError::new(format!("column \"{}\" does not exist", word.to_lowercase())));
    }
    if is_foreign_clause(lexemes, index) {
        return Err(lexeme.syntax_error());
    }
    if lexeme.is("DISTINCT") && lexemes.get(index + 1).is_some_and(|next| next.is("ON")) {
        return Err(SqlError::new("SELECT DISTINCT ON is not supported"));
    }
    if FOREIGN_TYPES.iter().any(|name| word.eq_ignore_ascii_case(name)) && is_type(lexemes, index) {
        return Err(SqlError::new(format!("type \"{}\" does not exist", word.to_lowercase())));
    }
    Ok(())
}

/// PostgreSQL's operators on JSON and text search.
fn is_foreign_operator(token: &Token) -> bool {
    matches!(
        token,
        Token::Arrow
            | Token::LongArrow
            | Token::HashArrow
            | Token::HashLongArrow
            | Token::AtArrow
            | Token::ArrowAt
            | Token::AtQuestion
            | Token::AtAt
            | Token::Question
            | Token::QuestionPipe
    )
}

/// Whether a clause begins here that Redshift does not have.
fn is_foreign_clause(lexemes: &[Lexeme], index: usize) -> bool {
    let lexeme = &lexemes[index];
    let next = |offset: usize| lexemes.get(index + offset);
    let next_is = |offset: usize, words: &[&str]| next(offset).is_some_and(|next| next.is_any(words));
    let previous = index.checked_sub(1).map(|before| &lexemes[before]);
    lexeme.is_any(&["RETURNING", "LATERAL", "CONCURRENTLY"])
        || (lexeme.is("ON") && next_is(1, &["CONFLICT"]))
        || (lexeme.is("DISTINCT")
            && previous.is_some_and(|previous| previous.is_any(&["IS", "NOT"]))
            && next_is(1, &["FROM"]))
        || (lexeme.is("FILTER") && next(1).is_some_and(|next| next.token == Token::LParen) && next_is(2, &["WHERE"]))
        || (lexeme.is("OVERRIDING") && next_is(1, &["SYSTEM", "USER"]))
        || (lexeme.is("VALUES") && previous.is_some_and(|previous| previous.token == Token::LParen))
        || (lexeme.is("FOR") && next_is(1, &["UPDATE", "SHARE"]))
}

/// Whether the name at this index is the type of a cast.
fn is_type(lexemes: &[Lexeme], index: usize) -> bool {
    let previous = index.checked_sub(1).map(|before| &lexemes[before]);
    previous.is_some_and(|previous| previous.token == Token::DoubleColon)
        || (previous.is_some_and(|previous| previous.is("AS")) && inside_cast(lexemes, index))
}

/// Types of PostgreSQL that Redshift does not have.
pub const FOREIGN_TYPES: &[&str] = &[
    "json",
    "jsonb",
    "uuid",
    "bytea",
    "serial",
    "bigserial",
    "smallserial",
    "money",
    "xml",
    "inet",
    "cidr",
    "tsvector",
    "hstore",
    "bit",
    "point",
    "polygon",
    "int4range",
    "tstzrange",
];

fn inside_cast(lexemes: &[Lexeme], index: usize) -> bool {
    let mut depth = 0_i32;
    for before in (0..index).rev() {
        match lexemes[before].token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => return before > 0 && lexemes[before - 1].is_any(&["CAST", "TRY_CAST"]),
            Token::LParen => depth -= 1,
            _ => {}
        }
    }
    false
}

const NOW: &str = "(statement_timestamp() AT TIME ZONE 'UTC')::timestamp(0)";
const TRANSACTION_TIME: &str = "(transaction_timestamp() AT TIME ZONE 'UTC')::timestamp";

fn translate(lexemes: &[Lexeme]) -> Vec<Lexeme> {
    let mut output = Vec::with_capacity(lexemes.len());
    let mut index = 0;
    while let Some(lexeme) = lexemes.get(index) {
        let called = lexemes.get(index + 1).is_some_and(|next| next.token == Token::LParen);
        let empty = called && lexemes.get(index + 2).is_some_and(|next| next.token == Token::RParen);
        let qualified = index > 0 && lexemes[index - 1].token == Token::Period;
        let after_cast =
            || index > 0 && (lexemes[index - 1].token == Token::DoubleColon || inside_cast(lexemes, index));
        let word = if qualified { String::new() } else { lexeme.word().unwrap_or_default().to_uppercase() };
        let (replacement, used) = match word.as_str() {
            "GETDATE" if empty => (Some(NOW), 3),
            "SYSDATE" if !called => (Some(TRANSACTION_TIME), 1),
            "NVL" if called => (Some("COALESCE"), 1),
            "LEN" if called => (Some("char_length"), 1),
            "JSON_PARSE" if called => (Some("pg_catalog.json_parse"), 1),
            "MINUS" => (Some("EXCEPT"), 1),
            "SUPER" if after_cast() => (Some("jsonb"), 1),
            "VARBYTE" if after_cast() => (Some("bytea"), 1),
            _ => (None, 1),
        };
        output.push(replacement.map_or_else(|| lexeme.clone(), |text| lexeme.replaced_by(keyword(text))));
        index += used;
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexeme::{lex, render};

    fn check(sql: &str, expected: &str) {
        assert_eq!(render(&rewrite(&lex(sql).expect("tokens")).expect("accepted")), expected);
    }

    fn refused(sql: &str, expected: &str) {
        let error = rewrite(&lex(sql).expect("tokens")).expect_err("refused");
        assert_eq!(error.text, format!("ERROR: {expected}"));
    }

    #[test]
    fn redshift_functions_are_translated() {
        check("SELECT NVL(a, 'NVL')", "SELECT COALESCE ( a , 'NVL' )");
        check("SELECT SYSDATE", "SELECT (transaction_timestamp() AT TIME ZONE 'UTC')::timestamp");
        check("SELECT getdate()", "SELECT (statement_timestamp() AT TIME ZONE 'UTC')::timestamp(0)");
        check("SELECT t.sysdate FROM t", "SELECT t . sysdate FROM t");
    }

    #[test]
    fn postgres_only_syntax_is_refused() {
        refused("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "syntax error at or near \"ON\"\n  Position: 26");
        refused("DELETE FROM t RETURNING a", "syntax error at or near \"RETURNING\"\n  Position: 15");
        refused("SELECT a IS NOT DISTINCT FROM b", "syntax error at or near \"DISTINCT\"\n  Position: 17");
        refused("SELECT DISTINCT ON (a) a FROM t", "SELECT DISTINCT ON is not supported");
        refused("SELECT ctid FROM t", "column \"ctid\" does not exist");
        refused("SELECT a::jsonb", "type \"jsonb\" does not exist");
        refused("SELECT CAST(a AS jsonb)", "type \"jsonb\" does not exist");
        refused("SELECT a ->> 'b' FROM t", "operator does not exist: ->>");
        refused("SELECT count(a) FILTER (WHERE a > 1) FROM t", "syntax error at or near \"FILTER\"\n  Position: 17");
        refused(
            "INSERT INTO t OVERRIDING USER VALUE SELECT 1",
            "syntax error at or near \"OVERRIDING\"\n  Position: 15",
        );
        refused("SELECT a FROM t FOR UPDATE", "syntax error at or near \"FOR\"\n  Position: 17");
        refused("SELECT * FROM (VALUES (1)) v", "syntax error at or near \"VALUES\"\n  Position: 16");
    }

    #[test]
    fn ordinary_words_pass() {
        check("SELECT json, uuid AS xml FROM t", "SELECT json , uuid AS xml FROM t");
        check("SELECT COUNT(DISTINCT a) FROM t", "SELECT COUNT ( DISTINCT a ) FROM t");
    }
}

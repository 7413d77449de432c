//! Translates Redshift's `CREATE TABLE`.
//!
//! Distribution, sort keys and encodings have no meaning in PostgreSQL and are removed. Keys are removed as well: Redshift does not enforce
//! them, except that the columns of a primary key are NOT NULL. Types are translated to what they mean in Redshift.

use sqlparser::tokenizer::Token;

use crate::errors::SqlError;
use crate::lexeme::{Lexeme, keyword};
use crate::rewrite::FOREIGN_TYPES;

pub fn rewrite(lexemes: &[Lexeme]) -> Result<Vec<Lexeme>, SqlError> {
    let name = name_index(lexemes)?;
    let mut end_of_name = name + 1;
    while lexemes.get(end_of_name).is_some_and(|lexeme| lexeme.token == Token::Period) {
        end_of_name += 2;
    }
    let mut output = lexemes[..end_of_name.min(lexemes.len())].to_vec();
    let temporary = lexemes[name].word().is_some_and(|word| word.starts_with('#'));
    if temporary && !output.iter().any(|lexeme| lexeme.is_any(&["TEMP", "TEMPORARY"])) {
        output.insert(1, lexemes[0].replaced_by(keyword("TEMP")));
    }
    let mut rest = end_of_name;
    if lexemes.get(rest).is_some_and(|lexeme| lexeme.token == Token::LParen) {
        let close = closing(lexemes, rest)?;
        output.extend(columns(&lexemes[rest], &lexemes[rest + 1..close])?);
        output.push(lexemes[close].clone());
        rest = close + 1;
    }
    output.extend(attributes(lexemes, rest)?);
    Ok(output)
}

fn name_index(lexemes: &[Lexeme]) -> Result<usize, SqlError> {
    let table = lexemes.iter().position(|lexeme| lexeme.is("TABLE")).unwrap_or_default();
    let exists = lexemes.get(table + 1).is_some_and(|lexeme| lexeme.is("IF"));
    let name = table + if exists { 4 } else { 1 };
    match lexemes.get(name) {
        Some(lexeme) if lexeme.identifier().is_some() => Ok(name),
        Some(lexeme) => Err(lexeme.syntax_error()),
        None => Err(SqlError::syntax("", lexemes.last().map_or(1, |last| last.position))),
    }
}

fn closing(lexemes: &[Lexeme], open: usize) -> Result<usize, SqlError> {
    let mut depth = 0_usize;
    for (index, lexeme) in lexemes.iter().enumerate().skip(open) {
        match lexeme.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 1 => return Ok(index),
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
    Err(SqlError::syntax("", lexemes.last().map_or(1, |last| last.position)))
}

/// Translates what is between the parentheses. Inserted tokens get the position of `open`.
fn columns(open: &Lexeme, inner: &[Lexeme]) -> Result<Vec<Lexeme>, SqlError> {
    let elements = split_at_commas(inner);
    let required = primary_key(&elements);
    let mut output = vec![open.clone()];
    let mut first = true;
    for element in elements.iter().filter(|element| !is_constraint(element)) {
        if !first {
            output.push(open.replaced_by(Token::Comma));
        }
        first = false;
        if element.first().is_some_and(|lexeme| lexeme.is("LIKE")) || element.len() == 1 {
            output.extend_from_slice(element);
            continue;
        }
        output.extend(column(element)?);
        if element[0].identifier().is_some_and(|name| required.contains(&name)) {
            output.push(open.replaced_by(keyword("NOT NULL")));
        }
    }
    Ok(output)
}

/// Splits at the commas outside parentheses.
pub fn split_at_commas(inner: &[Lexeme]) -> Vec<&[Lexeme]> {
    let mut depth = 0_usize;
    inner
        .split(|lexeme| {
            match lexeme.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && lexeme.token == Token::Comma
        })
        .collect()
}

fn is_constraint(element: &[Lexeme]) -> bool {
    element.first().is_some_and(|first| {
        first.is("CONSTRAINT")
            || (first.is_any(&["PRIMARY", "FOREIGN"]) && element.get(1).is_some_and(|lexeme| lexeme.is("KEY")))
            || (first.is("UNIQUE") && element.get(1).is_some_and(|lexeme| lexeme.token == Token::LParen))
    })
}

/// The columns of a primary key that is declared as a table constraint.
fn primary_key(elements: &[&[Lexeme]]) -> Vec<String> {
    elements
        .iter()
        .filter(|element| is_constraint(element) && element.iter().any(|lexeme| lexeme.is("PRIMARY")))
        .flat_map(|element| element.iter().skip_while(|lexeme| lexeme.token != Token::LParen))
        .filter_map(Lexeme::identifier)
        .collect()
}

/// Translates the definition of a column.
pub fn column(element: &[Lexeme]) -> Result<Vec<Lexeme>, SqlError> {
    let mut output = vec![element[0].clone()];
    let mut index = 1 + data_type(element, &mut output)?;
    while let Some(lexeme) = element.get(index) {
        let next = element.get(index + 1);
        let key = next.is_some_and(|next| next.is("KEY"));
        if lexeme.is("ENCODE") {
            index += 2;
        } else if lexeme.is_any(&["DISTKEY", "SORTKEY", "UNIQUE"]) {
            index += 1;
        } else if lexeme.is("PRIMARY") && key {
            output.push(lexeme.replaced_by(keyword("NOT NULL")));
            index += 2;
        } else if lexeme.is("REFERENCES") {
            index += references(&element[index..])?;
        } else if lexeme.is("IDENTITY") {
            index += identity(element, index, "ALWAYS", &mut output)?;
        } else if lexeme.is("GENERATED") {
            let by_default = element[index..]
                .iter()
                .skip(1)
                .zip(["BY", "DEFAULT", "AS", "IDENTITY"])
                .all(|(word, expected)| word.is(expected));
            if !by_default || element.len() < index + 5 {
                return Err(lexeme.syntax_error());
            }
            index += 4;
            index += identity(element, index, "BY DEFAULT", &mut output)?;
        } else if lexeme.is_any(&["CHECK", "EXCLUDE"]) {
            return Err(lexeme.syntax_error());
        } else {
            output.push(lexeme.clone());
            index += 1;
        }
    }
    Ok(output)
}

/// Translates the type and returns how many tokens of the element it has.
fn data_type(element: &[Lexeme], output: &mut Vec<Lexeme>) -> Result<usize, SqlError> {
    let lexeme = &element[1];
    let Some(word) = lexeme.word().map(str::to_uppercase) else { return Err(lexeme.syntax_error()) };
    if FOREIGN_TYPES.iter().any(|name| word.eq_ignore_ascii_case(name)) {
        let column = element[0].identifier().unwrap_or_default();
        return Err(SqlError::new(format!("Column \"{column}\" has unsupported type \"{}\".", word.to_lowercase())));
    }
    let sized = element.get(2).is_some_and(|next| next.token == Token::LParen);
    let take = |count: usize, text: &str, output: &mut Vec<Lexeme>| {
        output.push(lexeme.replaced_by(keyword(text)));
        count
    };
    let size_end = if sized { closing(element, 2)? + 1 } else { 2 };
    let unlimited = sized && element[3].is("MAX");
    Ok(match word.as_str() {
        "SUPER" => take(1, "jsonb", output),
        "VARBYTE" | "VARBINARY" => take(size_end - 1, "bytea", output),
        "BINARY" if element.get(2).is_some_and(|next| next.is("VARYING")) => {
            let sized = element.get(3).is_some_and(|next| next.token == Token::LParen);
            let end = if sized { closing(element, 3)? } else { 2 };
            take(end, "bytea", output)
        }
        "TEXT" => take(1, "varchar(256)", output),
        "VARCHAR" | "NVARCHAR" if unlimited => take(size_end - 1, "varchar(65535)", output),
        "VARCHAR" | "NVARCHAR" if !sized => take(1, "varchar(256)", output),
        "NVARCHAR" => take(1, "varchar", output),
        "NCHAR" | "BPCHAR" => take(1, if sized { "char" } else { "char(256)" }, output),
        "NUMERIC" | "DECIMAL" if !sized => take(1, "numeric(18,0)", output),
        "DATETIME" => take(1, "timestamp", output),
        "HLLSKETCH" | "GEOMETRY" | "GEOGRAPHY" => return Err(SqlError::beyond_stand_in(&format!("type {word}"))),
        _ => take(1, lexeme.word().unwrap_or_default(), output),
    })
}

/// The number of tokens of `REFERENCES table [(column)]`.
fn references(tail: &[Lexeme]) -> Result<usize, SqlError> {
    let mut used = 2;
    while tail.get(used).is_some_and(|lexeme| lexeme.token == Token::Period) {
        used += 2;
    }
    if tail.get(used).is_some_and(|lexeme| lexeme.token == Token::LParen) {
        used = closing(tail, used)? + 1;
    }
    Ok(used)
}

/// Translates `IDENTITY(seed, step)` at this index and returns how many tokens it has.
fn identity(element: &[Lexeme], index: usize, kind: &str, output: &mut Vec<Lexeme>) -> Result<usize, SqlError> {
    let lexeme = &element[index];
    let close = closing(element, index + 1).map_err(|_| lexeme.syntax_error())?;
    let numbers: String = element[index + 2..close].iter().map(Lexeme::near).collect();
    let (seed, step) = numbers.split_once(',').ok_or_else(|| lexeme.syntax_error())?;
    // PostgreSQL's default bound is 1, so the seed must be set as the bound too.
    let bound = if step.starts_with('-') { "MAXVALUE" } else { "MINVALUE" };
    let text = format!("GENERATED {kind} AS IDENTITY (START WITH {seed} INCREMENT BY {step} {bound} {seed})");
    output.push(lexeme.replaced_by(keyword(&text)));
    Ok(close + 1 - index)
}

/// Translates what follows the columns: table attributes are removed, `AS query` is kept.
fn attributes(lexemes: &[Lexeme], start: usize) -> Result<Vec<Lexeme>, SqlError> {
    let mut index = start;
    while let Some(lexeme) = lexemes.get(index) {
        let open = lexemes.get(index + 1).is_some_and(|next| next.token == Token::LParen);
        if lexeme.is("AS") {
            return Ok(lexemes[index..].to_vec());
        } else if lexeme.is_any(&["DISTSTYLE", "BACKUP", "ENCODE"]) || (lexeme.is("SORTKEY") && !open) {
            index += 2;
        } else if lexeme.is_any(&["COMPOUND", "INTERLEAVED"]) {
            index += 1;
        } else if lexeme.is_any(&["DISTKEY", "SORTKEY"]) && open {
            index = closing(lexemes, index + 1)? + 1;
        } else {
            return Err(lexeme.syntax_error());
        }
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexeme::{lex, render};

    fn check(sql: &str, expected: &str) {
        assert_eq!(render(&rewrite(&lex(sql).expect("tokens")).expect("accepted")), expected);
    }

    fn refused(sql: &str, expected: &str) {
        assert_eq!(rewrite(&lex(sql).expect("tokens")).expect_err("refused").text, format!("ERROR: {expected}"));
    }

    #[test]
    fn distribution_sort_keys_and_encodings_are_removed() {
        check(
            "CREATE TABLE public.t (id BIGINT NOT NULL ENCODE az64 DISTKEY SORTKEY, d DECIMAL(10,2) ENCODE raw DEFAULT 0) \
             BACKUP NO DISTSTYLE KEY COMPOUND SORTKEY (id, d)",
            "CREATE TABLE public . t ( id BIGINT NOT NULL , d DECIMAL ( 10 , 2 ) DEFAULT 0 )",
        );
    }

    #[test]
    fn keys_are_removed_but_a_primary_key_is_not_null() {
        check(
            "CREATE TABLE t (a INT PRIMARY KEY, b INT UNIQUE REFERENCES o(id), c INT, PRIMARY KEY (c), FOREIGN KEY (b) REFERENCES o (id))",
            "CREATE TABLE t ( a INT NOT NULL , b INT , c INT NOT NULL )",
        );
    }

    #[test]
    fn types_are_translated_to_their_meaning_in_redshift() {
        check(
            "CREATE TABLE t (a SUPER, b VARBYTE(10), c VARCHAR, d TEXT, e VARCHAR(MAX), f NUMERIC, g VARCHAR(7), h BINARY VARYING(9))",
            "CREATE TABLE t ( a jsonb , b bytea , c varchar(256) , d varchar(256) , e varchar(65535) , f numeric(18,0) , g VARCHAR ( 7 ) , h bytea )",
        );
        refused("CREATE TABLE t (a JSONB)", "Column \"a\" has unsupported type \"jsonb\".");
    }

    #[test]
    fn identity_columns_are_translated() {
        check(
            "CREATE TABLE t (id BIGINT IDENTITY(0, 1), n INT GENERATED BY DEFAULT AS IDENTITY(1,2))",
            "CREATE TABLE t ( id BIGINT GENERATED ALWAYS AS IDENTITY (START WITH 0 INCREMENT BY 1 MINVALUE 0) , n INT GENERATED BY DEFAULT AS IDENTITY (START WITH 1 INCREMENT BY 2 MINVALUE 1) )",
        );
        refused(
            "CREATE TABLE t (id INT GENERATED ALWAYS AS (1) STORED)",
            "syntax error at or near \"GENERATED\"\n  Position: 24",
        );
    }

    #[test]
    fn a_name_with_a_hash_is_a_temporary_table() {
        check(
            "CREATE TABLE #s (LIKE public.t INCLUDING DEFAULTS)",
            "CREATE TEMP TABLE \"#s\" ( LIKE public . t INCLUDING DEFAULTS )",
        );
    }

    #[test]
    fn create_table_as_keeps_its_query() {
        check("CREATE TEMP TABLE s DISTKEY(id) AS SELECT 1 id", "CREATE TEMP TABLE s AS SELECT 1 id");
    }

    #[test]
    fn postgres_table_options_are_refused() {
        refused("CREATE TEMP TABLE s (a INT) ON COMMIT DROP", "syntax error at or near \"ON\"\n  Position: 29");
    }
}

//! Translates Redshift's `ALTER TABLE … ADD COLUMN`: one column per statement, no `IF NOT EXISTS`, and NOT NULL only with a default.
//!
//! Any other `ALTER TABLE` is passed to PostgreSQL unchanged.

use crate::create_table::{column, split_at_commas};
use crate::errors::SqlError;
use crate::lexeme::Lexeme;

pub fn rewrite(lexemes: &[Lexeme]) -> Result<Vec<Lexeme>, SqlError> {
    let Some(start) = added(lexemes) else { return Ok(lexemes.to_vec()) };
    let element = &lexemes[start..];
    if element[0].identifier().is_none() || (element[0].is("IF") && element[1].is("NOT")) {
        return Err(element[0].syntax_error());
    }
    if let Some(comma) = element.get(split_at_commas(element)[0].len()) {
        return Err(comma.syntax_error());
    }
    let required = element.windows(2).any(|pair| pair[0].is("NOT") && pair[1].is("NULL"));
    if required && !element.iter().any(|lexeme| lexeme.is("DEFAULT")) {
        return Err(SqlError::new(
            "ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression",
        ));
    }
    let mut output = lexemes[..start].to_vec();
    output.extend(column(element)?);
    Ok(output)
}

/// The index of an added column's name.
fn added(lexemes: &[Lexeme]) -> Option<usize> {
    let add = lexemes.iter().position(|lexeme| lexeme.is("ADD"))?;
    let is_table = lexemes.get(1).is_some_and(|lexeme| lexeme.is("TABLE"));
    let named = lexemes.get(add + 1)?;
    let start = if named.is("COLUMN") { add + 2 } else { add + 1 };
    let is_constraint = named.is_any(&["CONSTRAINT", "PRIMARY", "FOREIGN", "UNIQUE", "PARTITION"]);
    (is_table && !is_constraint && lexemes.len() > start + 1).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexeme::{lex, render};

    fn rewritten(sql: &str) -> Result<String, String> {
        rewrite(&lex(sql).expect("tokens")).map(|lexemes| render(&lexemes)).map_err(|error| error.text)
    }

    #[test]
    fn a_column_has_the_type_that_it_has_in_redshift() {
        let alter = |kind: &str| rewritten(&format!("ALTER TABLE s.t ADD COLUMN \"a b\" {kind}"));
        assert_eq!(alter("SUPER").unwrap(), "ALTER TABLE s . t ADD COLUMN \"a b\" jsonb");
        assert_eq!(alter("VARBYTE").unwrap(), "ALTER TABLE s . t ADD COLUMN \"a b\" bytea");
        assert_eq!(alter("DECIMAL(38, 2)").unwrap(), "ALTER TABLE s . t ADD COLUMN \"a b\" DECIMAL ( 38 , 2 )");
        assert_eq!(rewritten("alter table t add x int encode az64").unwrap(), "alter table t add x int");
        assert_eq!(rewritten("ALTER TABLE t RENAME COLUMN a TO b").unwrap(), "ALTER TABLE t RENAME COLUMN a TO b");
    }

    #[test]
    fn what_redshift_refuses_is_refused() {
        let several = rewritten("ALTER TABLE t ADD COLUMN a INT, ADD COLUMN b INT").unwrap_err();
        assert!(several.starts_with("ERROR: syntax error at or near \",\""), "{several}");
        assert!(rewritten("ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT").unwrap_err().contains("at or near \"IF\""));
        assert!(rewritten("ALTER TABLE t ADD COLUMN a INT NOT NULL").unwrap_err().contains("must have a non-null"));
        assert!(rewritten("ALTER TABLE t ADD COLUMN a INT NOT NULL DEFAULT 0").is_ok());
    }
}

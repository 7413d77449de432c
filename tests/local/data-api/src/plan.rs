//! Decides from its tokens what a SQL statement is: a query, a write to a table, a COPY, or something that Redshift refuses.
//!
//! It runs nothing and does not know which tables exist.

use sqlparser::tokenizer::Token;

use crate::copy::CopyCommand;
use crate::errors::SqlError;
use crate::lexeme::{Lexeme, lex, render};
use crate::statement::Parameter;
use crate::table_name::{TableName, table_at};
use crate::{alter_table, create_table, rewrite};

/// What a SQL statement does, with its SQL for PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Returns a result set.
    Query {
        sql: String,
    },
    /// Changes the rows of one table.
    Write {
        sql: String,
        table: TableName,
    },
    /// Waits for the table's lock, and then sees what has been committed.
    Lock {
        sql: String,
    },
    /// Anything else that runs in a transaction.
    Execute {
        sql: String,
    },
    /// Commits the transaction so far, then empties the table.
    Truncate {
        sql: String,
        table: TableName,
    },
    /// Can only run outside a transaction.
    Alone {
        command: &'static str,
        /// Whether the stand-in can do it; Redshift can.
        supported: bool,
    },
    Copy(Box<CopyCommand>),
    /// Accepted without effect, such as a setting that only Redshift has.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub work: Work,
    /// The relations that the statement reads or writes, for error messages.
    pub tables: Vec<String>,
}

/// Whether the SQL uses this parameter.
pub fn uses_parameter(sql: &str, name: &str) -> bool {
    lex(sql).is_ok_and(|lexemes| {
        lexemes.windows(2).any(|pair| pair[0].token == Token::Colon && pair[1].word() == Some(name))
    })
}

pub fn plan(sql: &str, parameters: &[Parameter]) -> Result<Plan, SqlError> {
    let lexemes = bind(lex(sql)?, parameters);
    let Some(verb) = lexemes.first().map(|first| first.word().unwrap_or_default().to_uppercase()) else {
        return Err(SqlError::syntax("", 1));
    };
    refuse_verb(&verb, &lexemes)?;
    let tables = named_tables(&lexemes);
    let work = match verb.as_str() {
        "COPY" => Work::Copy(Box::new(crate::copy::command::parse(&lexemes)?)),
        "CREATE" => create(&lexemes)?,
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" => write(&verb, lexemes)?,
        "TRUNCATE" => truncate(lexemes)?,
        "LOCK" => Work::Lock { sql: rewritten(&lexemes)? },
        "VACUUM" => Work::Alone { command: "VACUUM", supported: true },
        "ALTER" if lexemes.iter().any(|lexeme| lexeme.is("APPEND")) => {
            Work::Alone { command: "ALTER TABLE APPEND", supported: false }
        }
        "ALTER" => Work::Execute { sql: rewritten(&alter_table::rewrite(&lexemes)?)? },
        "DROP" if lexemes.get(1).is_some_and(|object| object.is("DATABASE")) => {
            Work::Alone { command: "DROP DATABASE", supported: false }
        }
        "SET" | "RESET" if lexemes.get(1).is_some_and(|name| name.is_any(REDSHIFT_SETTINGS)) => Work::Nothing,
        "SELECT" | "WITH" | "SHOW" | "EXPLAIN" | "VALUES" => Work::Query { sql: rewritten(&lexemes)? },
        _ if lexemes.first().is_some_and(|first| first.token == Token::LParen) => {
            Work::Query { sql: rewritten(&lexemes)? }
        }
        _ => Work::Execute { sql: rewritten(&lexemes)? },
    };
    Ok(Plan { work, tables })
}

/// Settings of Redshift that PostgreSQL does not have. None of them changes a result here.
const REDSHIFT_SETTINGS: &[&str] = &[
    "query_group",
    "wlm_query_slot_count",
    "enable_result_cache_for_session",
    "describe_field_name_in_uppercase",
    "enable_case_sensitive_identifier",
    "enable_vacuum_boost",
    "mv_enable_aqmv_for_session",
    "error_on_nondeterministic_update",
    "json_serialization_enable",
    "use_fips_ssl",
    "analyze_threshold_percent",
    "auto_analyze",
    "extra_float_digits",
];

/// Refuses commands that Redshift, the Data API or the stand-in does not have.
fn refuse_verb(verb: &str, lexemes: &[Lexeme]) -> Result<(), SqlError> {
    match verb {
        // *Own*: the real text is not known.
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" | "PREPARE" => Err(
            SqlError::new(format!("{verb} is not allowed here: the Data API begins and ends the transaction itself")),
        ),
        "UNLOAD" | "CALL" | "FETCH" | "DECLARE" | "CLOSE" | "EXECUTE" => Err(SqlError::beyond_stand_in(verb)),
        "DO" | "LISTEN" | "NOTIFY" | "REINDEX" | "CLUSTER" | "CHECKPOINT" | "LOAD" | "REFRESH" | "DISCARD" => {
            Err(lexemes[0].syntax_error())
        }
        "WITH" => refuse_with_before_write(lexemes),
        _ => Ok(()),
    }
}

/// Refuses WITH before a write. Redshift accepts it only inside an INSERT.
fn refuse_with_before_write(lexemes: &[Lexeme]) -> Result<(), SqlError> {
    let mut depth = 0_usize;
    for lexeme in lexemes {
        match lexeme.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if depth == 0 && lexeme.is_any(&["INSERT", "UPDATE", "DELETE", "MERGE"]) => {
                return Err(lexeme.syntax_error());
            }
            _ => {}
        }
    }
    Ok(())
}

fn rewritten(lexemes: &[Lexeme]) -> Result<String, SqlError> {
    Ok(render(&rewrite::rewrite(lexemes)?))
}

fn create(lexemes: &[Lexeme]) -> Result<Work, SqlError> {
    let object = lexemes.iter().skip(1).find(|lexeme| !lexeme.is_any(&["LOCAL", "TEMP", "TEMPORARY", "OR", "REPLACE"]));
    match object.and_then(Lexeme::word).map(str::to_uppercase).as_deref() {
        Some("TABLE") => Ok(Work::Execute { sql: render(&rewrite::rewrite(&create_table::rewrite(lexemes)?)?) }),
        Some("DATABASE") => Ok(Work::Alone { command: "CREATE DATABASE", supported: false }),
        Some("SCHEMA" | "VIEW" | "USER" | "GROUP" | "ROLE" | "FUNCTION" | "PROCEDURE") => {
            Ok(Work::Execute { sql: rewritten(lexemes)? })
        }
        Some("EXTERNAL" | "LIBRARY" | "MODEL" | "DATASHARE" | "MATERIALIZED") => {
            Err(SqlError::beyond_stand_in("this kind of CREATE"))
        }
        Some("INDEX" | "UNIQUE") => {
            let command = lexemes.iter().map(Lexeme::near).take(3).collect::<Vec<_>>().join(" ");
            Err(SqlError::new(format!("SQL command \"{command}\" not supported on Redshift tables.")))
        }
        _ => Err(object.map_or_else(|| SqlError::syntax("", 1), Lexeme::syntax_error)),
    }
}

fn write(verb: &str, mut lexemes: Vec<Lexeme>) -> Result<Work, SqlError> {
    if verb == "DELETE" && lexemes.get(1).is_some_and(|lexeme| !lexeme.is("FROM")) {
        let from = lexemes[0].replaced_by(crate::lexeme::keyword("FROM"));
        lexemes.insert(1, from);
    }
    if let Some(duplicates) = lexemes.windows(2).find(|pair| pair[0].is("REMOVE") && pair[1].is("DUPLICATES")) {
        return Err(SqlError::beyond_stand_in(&format!("MERGE … {} DUPLICATES", duplicates[0].near())));
    }
    let table = target(&lexemes)?;
    Ok(Work::Write { sql: rewritten(&lexemes)?, table })
}

fn truncate(mut lexemes: Vec<Lexeme>) -> Result<Work, SqlError> {
    if lexemes.get(1).is_some_and(|lexeme| lexeme.is("TABLE")) {
        lexemes.remove(1);
    }
    let table = target(&lexemes)?;
    let used = if table.schema.is_some() { 4 } else { 2 };
    match lexemes.get(used) {
        Some(extra) => Err(extra.syntax_error()),
        None => Ok(Work::Truncate { sql: format!("TRUNCATE TABLE {}", table.quoted()), table }),
    }
}

/// The table after the verb and its optional keywords.
fn target(lexemes: &[Lexeme]) -> Result<TableName, SqlError> {
    let start = lexemes
        .iter()
        .skip(1)
        .position(|lexeme| !lexeme.is_any(&["INTO", "FROM", "TABLE", "ONLY"]))
        .map_or(lexemes.len(), |index| index + 1);
    table_at(lexemes, start)
}

fn named_tables(lexemes: &[Lexeme]) -> Vec<String> {
    let mut tables = Vec::new();
    for (index, lexeme) in lexemes.iter().enumerate() {
        if lexeme.is_any(&["FROM", "JOIN", "USING", "UPDATE", "INTO"])
            && let Ok(table) = table_at(lexemes, index + 1)
            && !tables.contains(&table.name)
        {
            tables.push(table.name);
        }
    }
    tables
}

/// Replaces parameters by literals.
fn bind(lexemes: Vec<Lexeme>, parameters: &[Parameter]) -> Vec<Lexeme> {
    let mut bound = Vec::with_capacity(lexemes.len());
    let mut rest = lexemes.into_iter().peekable();
    while let Some(lexeme) = rest.next() {
        let parameter = rest.peek().and_then(Lexeme::word).and_then(|name| {
            parameters.iter().find(|parameter| lexeme.token == Token::Colon && parameter.name == name)
        });
        match parameter {
            Some(parameter) => {
                rest.next();
                let raw = parameter.value.replace('\\', "\\\\").replace('\'', "''");
                bound.push(lexeme.replaced_by(Token::SingleQuotedString(raw)));
            }
            None => bound.push(lexeme),
        }
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(sql: &str) -> String {
        plan(sql, &[]).expect_err("refused").text
    }

    fn work(sql: &str) -> Work {
        plan(sql, &[]).expect("planned").work
    }

    #[test]
    fn a_write_names_its_table() {
        for sql in [
            "INSERT INTO Public.\"T\" VALUES (1)",
            "DELETE public.t USING s WHERE s.id = t.id",
            "UPDATE public.t SET a = 1",
        ] {
            let Work::Write { table, .. } = work(sql) else { panic!("{sql} is a write") };
            assert_eq!(table, TableName { schema: Some("public".into()), name: "t".into() });
        }
    }

    #[test]
    fn a_delete_without_from_gets_one() {
        let Work::Write { sql, .. } = work("delete t where a = 1") else { panic!("a write") };
        assert_eq!(sql, "delete FROM t where a = 1");
    }

    #[test]
    fn transaction_control_is_refused() {
        assert!(refusal("BEGIN").starts_with("ERROR: BEGIN is not allowed"));
        assert!(refusal("commit;").starts_with("ERROR: COMMIT is not allowed"));
    }

    #[test]
    fn a_truncate_has_one_table() {
        assert!(matches!(work("TRUNCATE TABLE public.t"), Work::Truncate { .. }));
        assert_eq!(refusal("TRUNCATE a, b"), "ERROR: syntax error at or near \",\"\n  Position: 11");
    }

    #[test]
    fn an_index_is_refused() {
        assert!(refusal("CREATE INDEX i ON t (a)").contains("not supported on Redshift tables."));
    }

    #[test]
    fn with_before_a_write_is_refused() {
        assert_eq!(
            refusal("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x"),
            "ERROR: syntax error at or near \"INSERT\"\n  Position: 22"
        );
    }

    #[test]
    fn parameters_become_literals() {
        let parameters = [Parameter { name: "id".into(), value: "it's".into() }];
        let plan = plan("SELECT * FROM t WHERE id = :id", &parameters).expect("planned");
        assert_eq!(plan.work, Work::Query { sql: "SELECT * FROM t WHERE id = 'it''s'".into() });
        assert!(uses_parameter("SELECT :id", "id"));
        assert!(!uses_parameter("SELECT x::id", "id"));
    }

    #[test]
    fn settings_of_redshift_have_no_effect() {
        assert_eq!(work("SET query_group TO 'x'"), Work::Nothing);
    }
}

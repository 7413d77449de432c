//! Rows that could not be loaded: `sys_load_error_detail` and `stl_load_errors`.

use tokio_postgres::Client;

use super::convert::Problem;
use super::source::Location;
use super::target::Column;
use crate::errors::SqlError;

/// A COPY that failed, with the rows that made it fail.
#[derive(Debug)]
pub struct CopyFailure {
    pub error: SqlError,
    pub rows: Vec<BadRow>,
}

impl From<SqlError> for CopyFailure {
    fn from(error: SqlError) -> Self {
        Self { error, rows: Vec::new() }
    }
}

#[derive(Clone, Debug)]
pub struct BadRow {
    pub table_id: u32,
    pub file: String,
    pub line: u64,
    pub raw: String,
    /// The column and the value that does not fit it; absent when the whole record is bad.
    pub column: Option<(String, String, String)>,
    pub problem: Problem,
}

impl BadRow {
    pub fn of_record(table_id: u32, file: &Location, (line, raw): (u64, &str), problem: Problem) -> Self {
        Self { table_id, file: file.url(), line, raw: raw.to_owned(), column: None, problem }
    }

    pub fn with_value(mut self, column: &Column, value: Option<&str>) -> Self {
        self.column = Some((column.name.clone(), column.type_name.clone(), value.unwrap_or_default().to_owned()));
        self
    }
}

/// Run once in every new database: the tables that Redshift has and PostgreSQL has not.
pub const SYSTEM_TABLES: &str = "
    SET allow_system_table_mods = on;
    CREATE TABLE pg_catalog.standin_load_error (
        query_id bigint, table_id integer, start_time timestamp DEFAULT (clock_timestamp() AT TIME ZONE 'UTC'),
        file_name text, line_number bigint, column_name text, column_type text, raw_line text, raw_field_value text,
        error_code integer, error_message text);
    CREATE VIEW pg_catalog.sys_load_error_detail AS
        SELECT 100 AS user_id, query_id, 0::bigint AS transaction_id, 8431 AS session_id,
               current_database()::text AS database_name, table_id, start_time, file_name, line_number, column_name,
               column_type, 0 AS column_length, 0 AS position, error_code, left(error_message, 512) AS error_message
        FROM pg_catalog.standin_load_error;
    CREATE VIEW pg_catalog.stl_load_errors AS
        SELECT 100 AS userid, 0 AS slice, table_id AS tbl, start_time AS starttime, 8431 AS session, query_id AS query,
               left(file_name, 256) AS filename, line_number, column_name AS colname, column_type AS type,
               0 AS col_length, 0 AS position, left(raw_line, 1024) AS raw_line,
               left(raw_field_value, 1024) AS raw_field_value, error_code AS err_code, left(error_message, 100) AS err_reason
        FROM pg_catalog.standin_load_error;
    GRANT SELECT ON pg_catalog.sys_load_error_detail, pg_catalog.stl_load_errors TO PUBLIC;
    CREATE FUNCTION pg_catalog.json_parse(text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS 'SELECT $1::jsonb';
    CREATE FUNCTION pg_catalog.pg_last_copy_count() RETURNS bigint LANGUAGE sql STABLE AS
        'SELECT coalesce(nullif(current_setting(''standin.copy_count'', true), ''''), ''0'')::bigint';
    CREATE FUNCTION pg_catalog.pg_last_copy_id() RETURNS bigint LANGUAGE sql STABLE AS
        'SELECT coalesce(nullif(current_setting(''standin.copy_id'', true), ''''), ''-1'')::bigint';
    RESET allow_system_table_mods;";

/// Rows of one COPY that are kept; Redshift keeps few as well.
const ROWS_MAX: usize = 1000;

/// Writes the rows on a connection of its own, so that they outlive the transaction that failed.
pub async fn record(client: &Client, query: i64, rows: &[BadRow]) -> Result<(), tokio_postgres::Error> {
    const INSERT: &str = "
        INSERT INTO pg_catalog.standin_load_error
            (query_id, table_id, file_name, line_number, raw_line, column_name, column_type, raw_field_value, error_code, error_message)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let statement = client.prepare(INSERT).await?;
    for row in rows.iter().take(ROWS_MAX) {
        let table_id = i32::try_from(row.table_id).unwrap_or_default();
        let line = i64::try_from(row.line).unwrap_or_default();
        let raw = row.raw.replace('\0', "");
        let (column, kind, value) = row.column.clone().unwrap_or_default();
        let Problem { code, message } = &row.problem;
        let value = value.replace('\0', "");
        client
            .execute(&statement, &[&query, &table_id, &row.file, &line, &raw, &column, &kind, &value, code, message])
            .await?;
    }
    Ok(())
}

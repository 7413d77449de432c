//! Records rows that could not be loaded, for `sys_load_error_detail` and `stl_load_errors`.

use tokio_postgres::Client;

use super::convert::Problem;
use super::location::Location;
use super::target::Column;
use crate::errors::SqlError;

/// A failed COPY, with the rows that caused it.
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
    /// Name and type of the column, and the value; `None` if the whole record is bad.
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

/// Maximum number of rows that are recorded for a COPY. Redshift records few as well.
const ROWS_MAX: usize = 1000;

/// Writes the rows. `client` must not be the connection of the COPY, whose transaction is rolled back.
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

//! A connection to the warehouse: runs SQL statements in a transaction, by Redshift's rules.

use std::sync::Arc;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::app::App;
use crate::aws::Aws;
use crate::conflicts::Transaction;
use crate::copy::{self, Assuming, CopyCommand, CopyFailure, Loading};
use crate::errors::SqlError;
use crate::lexeme::quoted;
use crate::plan::{Plan, Work};
use crate::statement::{Connection, ResultColumn, ResultSet};
use crate::table_name::TableName;

/// The outcome of a SQL statement.
#[derive(Debug, Default)]
pub struct Outcome {
    pub rows: i64,
    pub result: Option<Arc<ResultSet>>,
}

pub struct Session<'a> {
    app: &'a App,
    connection: Connection,
    database: String,
    pub client: Client,
    transaction: Option<Transaction<'a>>,
}

impl<'a> Session<'a> {
    pub async fn open(app: &'a App, connection: &Connection) -> Result<Self, SqlError> {
        let database = connection.postgres_database();
        let client = app.databases.connect(&database).await.map_err(|error| SqlError::from_postgres(&error, &[], 0))?;
        let session = Self { app, connection: connection.clone(), database, client, transaction: None };
        if let Some(user) = &connection.db_user {
            session.become_user(user).await?;
        }
        Ok(session)
    }

    /// Opens a session. A database user that exists has its own privileges; any other may do everything.
    async fn become_user(&self, user: &str) -> Result<(), SqlError> {
        const FIND: &str = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1 AND NOT rolsuper";
        let failed = |error: tokio_postgres::Error| SqlError::from_postgres(&error, &[], 0);
        if self.client.query_opt(FIND, &[&user]).await.map_err(failed)?.is_some() {
            self.client.batch_execute(&format!("SET ROLE {}", quoted(user))).await.map_err(failed)?;
        }
        Ok(())
    }

    pub async fn begin(&mut self) -> Result<(), SqlError> {
        self.simple("BEGIN ISOLATION LEVEL SERIALIZABLE", &[], 0).await?;
        self.transaction = Some(self.app.conflicts.begin(&self.database));
        Ok(())
    }

    pub async fn commit(&mut self, query: i64) -> Result<(), SqlError> {
        match self.transaction.take() {
            Some(transaction) => transaction.commit(async { self.simple("COMMIT", &[], query).await.map(drop) }).await,
            None => Ok(()),
        }
    }

    /// Rolls back after an error.
    pub async fn rollback(&mut self) {
        if self.transaction.take().is_some() {
            let _ = self.client.batch_execute("ROLLBACK").await;
        }
    }

    /// Whether the SQL must not run in a transaction block.
    pub fn needs_no_transaction(work: &Work) -> bool {
        matches!(work, Work::Alone { .. })
    }

    pub async fn run(&mut self, plan: &Plan, query: i64) -> Result<Outcome, SqlError> {
        let tables = plan.tables.as_slice();
        match &plan.work {
            Work::Query { sql } => self.query(sql, tables, query).await,
            Work::Execute { sql } => self.simple(sql, tables, query).await,
            Work::Lock { sql } => {
                let outcome = self.simple(sql, tables, query).await?;
                if let Some(transaction) = &mut self.transaction {
                    transaction.see_what_is_committed().await;
                }
                Ok(outcome)
            }
            Work::Alone { command, .. } if self.transaction.is_some() => {
                Err(SqlError::new(format!("{command} cannot run inside a transaction block")))
            }
            Work::Nothing | Work::Alone { supported: true, .. } => Ok(Outcome::default()),
            Work::Alone { command, .. } => Err(SqlError::beyond_stand_in(command)),
            Work::Write { sql, table } => {
                self.claim(table).await?;
                self.simple(sql, tables, query).await
            }
            Work::Truncate { sql, table } => self.truncate(sql, table, query).await,
            Work::Copy(command) => self.copy(command, query).await,
        }
    }

    /// TRUNCATE commits the transaction so far, and itself.
    async fn truncate(&mut self, sql: &str, table: &TableName, query: i64) -> Result<Outcome, SqlError> {
        if self.transaction.is_some() {
            self.commit(query).await?;
        }
        self.begin().await?;
        self.claim(table).await?;
        self.simple(sql, &[], query).await?;
        self.commit(query).await?;
        self.begin().await?;
        Ok(Outcome::default())
    }

    async fn copy(&mut self, command: &CopyCommand, query: i64) -> Result<Outcome, SqlError> {
        let Some(table_id) = self.claim(&command.table).await? else {
            return Err(SqlError::new(format!("Cannot COPY into nonexistent table {}", command.table.name)));
        };
        let Aws { region, account, .. } = &self.app.aws;
        let assuming = Assuming { region, account, connection: &self.connection };
        self.check_insert(table_id, command).await?;
        assuming.check(command, self.app.controls.roles().as_deref(), query)?;
        let loading = Loading { command, table_id, query, region };
        match copy::run(&self.client, &self.app.aws, loading).await {
            Ok(loaded) => {
                self.record(query, &loaded.bad).await;
                let settings = format!(
                    "SELECT set_config('standin.copy_count', '{}', false), set_config('standin.copy_id', '{query}', false)",
                    loaded.rows
                );
                self.simple(&settings, &[], query).await?;
                Ok(Outcome { rows: i64::try_from(loaded.rows).unwrap_or(i64::MAX), result: None })
            }
            Err(CopyFailure { error, rows }) => {
                self.record(query, &rows).await;
                Err(error)
            }
        }
    }

    /// COPY checks the privilege before it reads any file.
    async fn check_insert(&self, table_id: u32, command: &CopyCommand) -> Result<(), SqlError> {
        const ASK: &str = "SELECT pg_catalog.has_table_privilege($1::oid, 'INSERT')";
        let row = self.client.query_one(ASK, &[&table_id]).await;
        let row = row.map_err(|error| SqlError::from_postgres(&error, &[], 0))?;
        if row.get(0) {
            return Ok(());
        }
        Err(SqlError::new(format!("permission denied for relation {}", command.table.name)))
    }

    /// Records bad rows on another connection, so that they remain after the rollback.
    async fn record(&self, query: i64, rows: &[copy::BadRow]) {
        if rows.is_empty() {
            return;
        }
        let written = match self.app.databases.connect(&self.database).await {
            Ok(client) => copy::record(&client, query, rows).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "load errors were not recorded");
        }
    }

    /// Checks for conflicting writers before the table is written. Returns `None` if the table does not exist.
    async fn claim(&self, table: &TableName) -> Result<Option<u32>, SqlError> {
        const FIND: &str = "
            SELECT oid, relpersistence = 't', relkind::text FROM pg_catalog.pg_class
            WHERE oid = to_regclass($1)";
        let row = self
            .client
            .query_opt(FIND, &[&table.quoted()])
            .await
            .map_err(|error| SqlError::from_postgres(&error, &[], 0))?;
        let Some(row) = row else { return Ok(None) };
        let (table_id, temporary): (u32, bool) = (row.get(0), row.get(1));
        if let (false, Some(transaction)) = (temporary, &self.transaction)
            && let Err(other) = transaction.write(table_id)
        {
            return Err(SqlError::serializable_violation(table_id, [transaction.id, other]));
        }
        Ok(Some(table_id))
    }

    async fn simple(&self, sql: &str, tables: &[String], query: i64) -> Result<Outcome, SqlError> {
        let messages = self.messages(sql, tables, query).await?;
        let rows = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        });
        Ok(Outcome { rows: i64::try_from(rows.unwrap_or_default()).unwrap_or(i64::MAX), result: None })
    }

    async fn query(&self, sql: &str, tables: &[String], query: i64) -> Result<Outcome, SqlError> {
        let mut result = ResultSet { columns: self.columns(sql, tables, query).await?, rows: Vec::new() };
        for message in self.messages(sql, tables, query).await? {
            if let SimpleQueryMessage::Row(row) = message {
                result.rows.push((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect());
            }
        }
        Ok(Outcome { rows: i64::try_from(result.rows.len()).unwrap_or(i64::MAX), result: Some(Arc::new(result)) })
    }

    async fn columns(&self, sql: &str, tables: &[String], query: i64) -> Result<Vec<ResultColumn>, SqlError> {
        let prepared =
            self.client.prepare(sql).await.map_err(|error| SqlError::from_postgres(&error, tables, query))?;
        let column = |column: &tokio_postgres::Column| ResultColumn {
            name: column.name().to_owned(),
            type_name: match column.type_().name() {
                "jsonb" => "super".to_owned(),
                "bytea" => "varbyte".to_owned(),
                "text" => "varchar".to_owned(),
                name => name.to_owned(),
            },
        };
        Ok(prepared.columns().iter().map(column).collect())
    }

    async fn messages(&self, sql: &str, tables: &[String], query: i64) -> Result<Vec<SimpleQueryMessage>, SqlError> {
        self.client.simple_query(sql).await.map_err(|error| SqlError::from_postgres(&error, tables, query))
    }
}

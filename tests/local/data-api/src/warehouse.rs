//! The PostgreSQL databases behind clusters and workgroups.

use std::collections::HashSet;

use tokio::sync::Mutex;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

use crate::Warehouse;
use crate::catalog::SYSTEM_TABLES;
use crate::lexeme::quoted;

pub struct Databases {
    server: Warehouse,
    /// Databases that exist and have their system tables.
    ready: Mutex<HashSet<String>>,
}

impl Databases {
    pub fn new(server: Warehouse) -> Self {
        Self { server, ready: Mutex::default() }
    }

    /// Opens a session. The database is created if it does not exist.
    pub async fn connect(&self, database: &str) -> Result<Client, Error> {
        self.ensure(database).await?;
        self.open(database).await
    }

    async fn open(&self, database: &str) -> Result<Client, Error> {
        let mut config = Config::new();
        let Warehouse { host, port, user } = &self.server;
        config.host(host).port(*port).user(user).dbname(database).application_name("local-data-api");
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a session ended");
            }
        });
        Ok(client)
    }

    async fn ensure(&self, database: &str) -> Result<(), Error> {
        let mut ready = self.ready.lock().await;
        if ready.contains(database) {
            return Ok(());
        }
        let maintenance = self.open("postgres").await?;
        let create = format!("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0", quoted(database));
        match maintenance.batch_execute(&create).await {
            Err(error) if error.code() != Some(&SqlState::DUPLICATE_DATABASE) => return Err(error),
            _ => {}
        }
        let client = self.open(database).await?;
        let missing = client.query_one("SELECT to_regclass('pg_catalog.standin_load_error') IS NULL", &[]).await?;
        if missing.get(0) {
            client.batch_execute(SYSTEM_TABLES).await?;
            let zone = format!("ALTER DATABASE {} SET timezone = 'UTC'", quoted(database));
            client.batch_execute(&zone).await?;
        }
        ready.insert(database.to_owned());
        Ok(())
    }
}

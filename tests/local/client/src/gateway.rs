//! Client of the gateway's administration under `/_local/`.

use anyhow::Result;
use hyper::Method;
use serde::Deserialize;

use crate::calls::{Calls, LogEntry};
use crate::http::JsonPaths;
use crate::toxic::{Toxic, ToxicState};

/// Reads counts and log of a stack's gateway, and manages its toxics.
#[derive(Clone, Debug)]
pub struct GatewayAdmin {
    paths: JsonPaths,
}

#[derive(Deserialize)]
struct Log {
    calls: Vec<LogEntry>,
}

#[derive(Deserialize)]
struct Listed {
    toxics: Vec<ToxicState>,
}

#[derive(Deserialize)]
struct Added {
    id: String,
}

#[derive(Deserialize)]
struct Nothing {}

impl GatewayAdmin {
    /// The gateway of the stack with this endpoint for users.
    pub fn new(endpoint: &str) -> Self {
        Self { paths: JsonPaths::new(format!("{endpoint}/_local")) }
    }

    /// Number of calls per port, service and operation since the start or the last reset.
    pub async fn calls(&self) -> Result<Calls> {
        self.paths.request(Method::GET, "calls").await
    }

    /// Clears counts and log. Sequence numbers continue.
    pub async fn reset_calls(&self) -> Result<()> {
        let Nothing {} = self.paths.request(Method::POST, "calls/reset").await?;
        Ok(())
    }

    /// The remembered calls with a sequence number above `after`, oldest first.
    pub async fn log(&self, after: u64) -> Result<Vec<LogEntry>> {
        let log: Log = self.paths.request(Method::GET, &format!("log?after={after}")).await?;
        Ok(log.calls)
    }

    /// Adds a toxic and returns its id.
    pub async fn add_toxic(&self, toxic: &Toxic) -> Result<String> {
        let added: Added = self.paths.post("toxics", toxic).await?;
        Ok(added.id)
    }

    /// All toxics with their counts.
    pub async fn toxics(&self) -> Result<Vec<ToxicState>> {
        let listed: Listed = self.paths.request(Method::GET, "toxics").await?;
        Ok(listed.toxics)
    }

    /// Removes one toxic.
    pub async fn remove_toxic(&self, id: &str) -> Result<()> {
        let Nothing {} = self.paths.request(Method::DELETE, &format!("toxics/{id}")).await?;
        Ok(())
    }

    /// Removes all toxics.
    pub async fn clear_toxics(&self) -> Result<()> {
        let Nothing {} = self.paths.request(Method::DELETE, "toxics").await?;
        Ok(())
    }
}

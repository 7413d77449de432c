//! Typed client of the gateway's administration.

use crate::gateway::calls::{Calls, LogEntry};
use crate::gateway::toxic::{Toxic, ToxicState};
use crate::http::Http;
use crate::stack::StackInfo;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Counts, log and toxics of one stack.
#[derive(Debug, Clone)]
pub struct Admin {
    http: Http,
    base: String,
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

impl Admin {
    /// For the stack that `info` describes.
    pub fn new(info: &StackInfo) -> Self {
        Self { http: Http::new(), base: format!("{}/_local", info.endpoint) }
    }

    /// Number of calls per port, service and operation since the start or the last reset.
    pub async fn calls(&self) -> Result<Calls> {
        self.ask(Method::GET, "calls", Bytes::new()).await
    }

    /// Forgets counts and log; sequence numbers go on.
    pub async fn reset_calls(&self) -> Result<()> {
        let Nothing {} = self.ask(Method::POST, "calls/reset", Bytes::new()).await?;
        Ok(())
    }

    /// The remembered calls with a sequence number above `after`, oldest first.
    pub async fn log(&self, after: u64) -> Result<Vec<LogEntry>> {
        let log: Log = self.ask(Method::GET, &format!("log?after={after}"), Bytes::new()).await?;
        Ok(log.calls)
    }

    /// Adds a toxic; answers its id.
    pub async fn add_toxic(&self, toxic: &Toxic) -> Result<String> {
        let body = serde_json::to_vec(toxic)?.into();
        let added: Added = self.ask(Method::POST, "toxics", body).await?;
        Ok(added.id)
    }

    /// All toxics with their counts.
    pub async fn toxics(&self) -> Result<Vec<ToxicState>> {
        let listed: Listed = self.ask(Method::GET, "toxics", Bytes::new()).await?;
        Ok(listed.toxics)
    }

    /// Removes one toxic.
    pub async fn remove_toxic(&self, id: &str) -> Result<()> {
        let Nothing {} = self.ask(Method::DELETE, &format!("toxics/{id}"), Bytes::new()).await?;
        Ok(())
    }

    /// Removes all toxics.
    pub async fn clear_toxics(&self) -> Result<()> {
        let Nothing {} = self.ask(Method::DELETE, "toxics", Bytes::new()).await?;
        Ok(())
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T> {
        let uri = format!("{}/{path}", self.base);
        let request = Request::builder().method(method).uri(&uri).body(Full::new(body))?;
        let (status, body) = self.http.send(request).await?;
        if !status.is_success() {
            bail!("`{uri}` answered {status}: {}", String::from_utf8_lossy(&body));
        }
        serde_json::from_slice(&body).with_context(|| format!("unexpected answer of `{uri}`"))
    }
}

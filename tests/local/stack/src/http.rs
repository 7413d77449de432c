//! A small HTTP client for loopback: requests with the whole body in memory.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

/// Client with its connection pool.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Http {
    /// A client without connections.
    pub fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Sends one request and reads the whole answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
        let uri = request.uri().clone();
        let answer = self.client.request(request).await;
        let answer = answer.with_context(|| format!("no answer from `{uri}`"))?;
        let status = answer.status();
        let body = answer.into_body().collect().await;
        let body = body.with_context(|| format!("the answer of `{uri}` broke off"))?;
        Ok((status, body.to_bytes()))
    }

    /// GET, for its status.
    pub async fn status(&self, uri: &str) -> Option<StatusCode> {
        let request = Request::get(uri).body(Full::default()).ok()?;
        self.send(request).await.ok().map(|(status, _)| status)
    }
}

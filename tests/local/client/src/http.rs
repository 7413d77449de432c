//! A small HTTP client for loopback, with whole bodies in memory.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

/// An HTTP client with a connection pool.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Http {
    /// Creates a client without connections.
    pub fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Sends one request and reads the whole response.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
        let uri = request.uri().clone();
        let response = self.client.request(request).await;
        let response = response.with_context(|| format!("no response from `{uri}`"))?;
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.with_context(|| format!("the response of `{uri}` is incomplete"))?;
        Ok((status, body.to_bytes()))
    }

    /// Sends a GET request and returns the status of the response, if there is one.
    pub async fn status(&self, uri: &str) -> Option<StatusCode> {
        let request = Request::get(uri).body(Full::default()).ok()?;
        self.send(request).await.ok().map(|(status, _)| status)
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

/// The paths below a URL, with JSON requests and responses.
#[derive(Clone, Debug)]
pub(crate) struct JsonPaths {
    http: Http,
    base: String,
}

impl JsonPaths {
    /// The paths below `base`, which has no trailing slash.
    pub(crate) fn new(base: String) -> Self {
        Self { http: Http::new(), base }
    }

    /// Sends a request without a body.
    pub(crate) async fn request<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T> {
        self.send(method, path, Bytes::new()).await
    }

    /// Sends a POST request with a JSON body.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl serde::Serialize) -> Result<T> {
        self.send(Method::POST, path, serde_json::to_vec(body)?.into()).await
    }

    async fn send<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T> {
        let uri = format!("{}/{path}", self.base);
        let request = Request::builder().method(method).uri(&uri).header("content-type", "application/json");
        let (status, body) = self.http.send(request.body(Full::new(body))?).await?;
        if !status.is_success() {
            bail!("`{uri}` returned {status}: {}", String::from_utf8_lossy(&body));
        }
        serde_json::from_slice(&body).with_context(|| format!("unexpected response of `{uri}`"))
    }
}

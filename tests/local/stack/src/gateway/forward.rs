//! Forwards requests to ministack or the stand-in without changing what is signed.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderName, HeaderValue, TE, TRAILER, UPGRADE};
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{HeaderMap, Request, Response, Uri, Version};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::{Upstreams, json};

type Failure = Box<dyn std::error::Error + Send + Sync>;
/// A body in memory, or one that is streamed.
pub type Body = UnsyncBoxBody<Bytes, Failure>;
/// A response.
pub type Answer = Response<Body>;

/// Shorter than the time for which ministack keeps an idle connection.
const IDLE_SECONDS: u64 = 20;
/// Headers that apply to a single connection, not to the request.
const HOP_BY_HOP: [HeaderName; 4] = [CONNECTION, TE, TRAILER, UPGRADE];

/// A body that is streamed.
pub fn stream(body: Incoming) -> Body {
    body.map_err(Into::into).boxed_unsync()
}

/// A body in memory.
pub fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// Forwards to the two upstreams.
#[derive(Debug)]
pub struct Forwarder {
    client: Client<HttpConnector, Body>,
    upstreams: Upstreams,
}

impl Forwarder {
    /// Creates a forwarder without connections.
    pub fn new(upstreams: Upstreams) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(IDLE_SECONDS))
            .pool_timer(TokioTimer::new())
            .http1_preserve_header_case(true)
            .build_http();
        Self { client, upstreams }
    }

    /// Forwards to ministack.
    pub async fn to_ministack(&self, mut parts: Parts, body: Body) -> Answer {
        if self.upstreams.auth {
            // Policies may require TLS; loopback counts as TLS.
            parts.headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        }
        self.forward(self.upstreams.ministack, parts, body).await
    }

    /// Forwards to the Data API stand-in.
    pub async fn to_standin(&self, parts: Parts, body: Body) -> Answer {
        self.forward(self.upstreams.standin, parts, body).await
    }

    async fn forward(&self, upstream: SocketAddr, mut parts: Parts, body: Body) -> Answer {
        let Some(uri) = aim(&parts.uri, upstream) else {
            return json(400, &serde_json::json!({ "message": "the request has no path" }));
        };
        // The host header is kept, because it is signed.
        parts.uri = uri;
        parts.version = Version::HTTP_11;
        strip(&mut parts.headers);
        match self.client.request(Request::from_parts(parts, body)).await {
            Ok(answer) => {
                let (mut parts, body) = answer.into_parts();
                strip(&mut parts.headers);
                Response::from_parts(parts, stream(body))
            }
            Err(error) => {
                tracing::warn!(%upstream, error = &error as &dyn std::error::Error, "no response");
                json(502, &serde_json::json!({ "message": format!("no response from {upstream}: {error}") }))
            }
        }
    }
}

fn aim(uri: &Uri, upstream: SocketAddr) -> Option<Uri> {
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let authority = Authority::try_from(upstream.to_string()).ok()?;
    Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path).build().ok()
}

fn strip(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

//! Serves AWS JSON 1.1 over HTTP. The header `X-Amz-Target` names the operation.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::aws::Aws;
use crate::clock::Clock;
use crate::conflicts::Conflicts;
use crate::controls::Controls;
use crate::errors::ServiceError;
use crate::operations::{self, Caller};
use crate::store::Store;
use crate::warehouse::Databases;
use crate::{Settings, admin};

/// Large enough for forty escaped SQL statements of 100 KB.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// A running stand-in.
#[derive(Debug)]
pub struct Standin {
    /// The address it listens on.
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Standin {
    /// Base URL for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops serving. Running statements are abandoned, as when the process ends.
    pub async fn shutdown(self) {
        let _ = self.stop.send(());
        let _ = self.server.await;
    }
}

pub async fn start(settings: Settings) -> anyhow::Result<Standin> {
    let listener =
        TcpListener::bind(settings.listen).await.with_context(|| format!("cannot listen on `{}`", settings.listen))?;
    let address = listener.local_addr()?;
    let clock = Clock::default();
    let app = Arc::new(App {
        store: Store::starting_at(clock.now()),
        clock,
        aws: Aws::connect(&settings).await,
        conflicts: Conflicts::default(),
        controls: Controls::new(settings.latency),
        databases: Databases::new(settings.warehouse),
    });
    let router = Router::new()
        .route("/", post(call))
        .route("/_standin/statements", get(admin::statements))
        .route("/_standin/settings", get(admin::settings).post(admin::change))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(app);
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(async move {
        tokio::select! {
            outcome = axum::serve(listener, router) => {
                if let Err(error) = outcome {
                    tracing::error!(%error, "the stand-in stopped serving");
                }
            }
            // An error means that the handle was dropped, which stops the server too.
            _ = stopped => {}
        }
    });
    Ok(Standin { address, stop, server })
}

async fn call(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(operation) = header("x-amz-target").strip_prefix("RedshiftData.") else {
        let text = "the header X-Amz-Target must be RedshiftData.<operation>".to_owned();
        return ServiceError::UnknownOperation(text).into_response();
    };
    let body = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
    let caller = Caller::from_authorization(header("authorization"), &app.aws.account);
    match operations::dispatch(&app, operation, &body, &caller).await {
        Ok(answer) => ([("content-type", "application/x-amz-json-1.1")], answer.to_string()).into_response(),
        Err(error) => error.into_response(),
    }
}

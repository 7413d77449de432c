//! The gateway: the stack's only AWS endpoint, with one port for users and one for the functions.
//!
//! It counts every request, applies toxics, and forwards the request to the Data API stand-in or to ministack. Requests are forwarded
//! unchanged so that their signatures stay valid. `/_local/` on the port for users is the gateway's own administration.

mod answers;
mod authorize;
mod caller;
pub mod calls;
mod classify;
mod forward;
mod local;
pub mod toxic;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use local_client::ToxicKind;
use local_client::calls::Port;
use rustix::process::Signal;
use tokio::net::TcpListener;

use authorize::Authorizer;
use caller::{Caller, Connection};
use calls::Record;
use classify::Operation;
use forward::{Answer, Body, Forwarder};
use toxic::Toxics;

/// The two ports. They are bound first, because all other parts are configured with them.
#[derive(Debug)]
pub struct Listeners {
    /// Address for users.
    pub endpoint: SocketAddr,
    /// Address for the functions.
    pub functions_endpoint: SocketAddr,
    users: TcpListener,
    functions: TcpListener,
}

/// The servers behind the gateway.
#[derive(Debug, Clone, Copy)]
pub struct Upstreams {
    /// Serves everything but the Data API.
    pub ministack: SocketAddr,
    /// Serves the Data API.
    pub standin: SocketAddr,
    /// Whether signatures and policies of Data API calls are checked, as ministack does for all other calls.
    pub auth: bool,
}

impl Listeners {
    /// Binds two free loopback ports.
    pub async fn bind() -> anyhow::Result<Self> {
        let users = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let functions = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self { endpoint: users.local_addr()?, functions_endpoint: functions.local_addr()?, users, functions })
    }
}

/// Serves both ports until the runtime ends.
pub fn serve(listeners: Listeners, upstreams: Upstreams) {
    let gateway = Arc::new(Gateway {
        forwarder: Forwarder::new(upstreams),
        authorizer: upstreams.auth.then(|| Authorizer::new(upstreams.ministack)),
        shared: Mutex::default(),
    });
    tokio::spawn(accept(listeners.users, Port::Users, Arc::clone(&gateway)));
    tokio::spawn(accept(listeners.functions, Port::Functions, gateway));
}

async fn accept(listener: TcpListener, port: Port, gateway: Arc<Gateway>) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let connection = Arc::new(Connection::new(port, peer));
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            let service = service_fn(move |request| Arc::clone(&gateway).handle(Arc::clone(&connection), request));
            let mut server = hyper::server::conn::http1::Builder::new();
            let server = server.timer(TokioTimer::new()).preserve_header_case(true);
            // An error means that the client closed the connection, or a toxic did.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Error that closes a connection without a response.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("connection dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

#[derive(Debug, Default)]
struct Shared {
    record: Record,
    toxics: Toxics,
}

#[derive(Debug)]
struct Gateway {
    forwarder: Forwarder,
    authorizer: Option<Authorizer>,
    shared: Mutex<Shared>,
}

/// A call and what is known about it.
struct Call {
    sequence: u64,
    operation: Operation,
    caller: Option<Caller>,
    parts: Parts,
    body: Body,
}

impl Gateway {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn handle(
        self: Arc<Self>,
        connection: Arc<Connection>,
        request: Request<Incoming>,
    ) -> Result<Answer, Dropped> {
        let (parts, body) = request.into_parts();
        if connection.port == Port::Users && parts.uri.path().starts_with("/_local/") {
            return Ok(local::administer(&self.shared, &parts, collect(body).await.as_ref()));
        }
        if connection.port == Port::Users && parts.uri.path().starts_with("/_standin/") {
            return Ok(self.forwarder.to_standin(parts, forward::stream(body)).await);
        }
        let (operation, body) = if classify::needs_body(&parts) {
            let bytes = collect(body).await.unwrap_or_default();
            (classify::classify(&parts, Some(&bytes)), forward::whole(bytes))
        } else {
            (classify::classify(&parts, None), forward::stream(body))
        };
        let caller = connection.caller().await;
        let function = caller.as_ref().and_then(|caller| caller.function.as_deref());
        let (sequence, fate) = {
            let mut shared = self.shared();
            let sequence = shared.record.arrived(connection.port, &operation, caller.as_ref(), now_millis());
            let fate = shared.toxics.fate(connection.port, &operation, function);
            for kind in &fate {
                shared.record.disturbed(sequence, kind.name());
            }
            (sequence, fate)
        };
        let call = Call { sequence, operation, caller, parts, body };
        let answer = self.apply(call, &fate).await?;
        self.shared().record.answered(sequence, answer.status().as_u16());
        Ok(answer)
    }

    /// Applies toxics to a call. Delays add up; of the other kinds, the first one is applied.
    async fn apply(&self, call: Call, fate: &[ToxicKind]) -> Result<Answer, Dropped> {
        for kind in fate {
            match kind {
                ToxicKind::DelayMillis(millis) => tokio::time::sleep(Duration::from_millis(*millis)).await,
                ToxicKind::Error { status, code, message } => {
                    return Ok(answers::error(&call.operation, *status, code, message));
                }
                ToxicKind::Throttle => return Ok(answers::throttled(&call.operation)),
                ToxicKind::DropRequest => return Err(Dropped),
                ToxicKind::DropResponse => {
                    self.take_effect(call).await;
                    return Err(Dropped);
                }
                ToxicKind::Double => return Ok(self.pass_twice(call).await),
                ToxicKind::KillBefore => {
                    self.kill(call.caller.as_ref(), call.sequence);
                    return Err(Dropped);
                }
                ToxicKind::KillAfter => {
                    let (caller, sequence) = (call.caller.clone(), call.sequence);
                    self.take_effect(call).await;
                    self.kill(caller.as_ref(), sequence);
                    return Err(Dropped);
                }
            }
        }
        Ok(self.pass(call).await)
    }

    async fn pass(&self, call: Call) -> Answer {
        let Call { operation, parts, body, .. } = call;
        if operation.service == "redshift-data" {
            let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            return self.pass_data_api(&operation, parts, bytes).await;
        }
        let answer = self.forwarder.to_ministack(parts, body).await;
        match &self.authorizer {
            Some(authorizer) if operation.service == "sts" => authorizer.learn(answer).await,
            _ => answer,
        }
    }

    async fn pass_data_api(&self, operation: &Operation, mut parts: Parts, body: Bytes) -> Answer {
        if let Some(authorizer) = &self.authorizer {
            // ministack checks the signature, so it must receive the request unchanged.
            let checked = self.forwarder.to_ministack(parts.clone(), forward::whole(body.clone())).await;
            match authorizer.check(checked, &parts, operation, &body).await {
                Ok(caller) => authorize::name_caller(&mut parts, &caller),
                Err(refusal) => return *refusal,
            }
        }
        self.forwarder.to_standin(parts, forward::whole(body)).await
    }

    async fn pass_twice(&self, call: Call) -> Answer {
        let Call { sequence, operation, caller, parts, body } = call;
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let again =
            |body| Call { sequence, operation: operation.clone(), caller: caller.clone(), parts: parts.clone(), body };
        self.take_effect(again(forward::whole(bytes.clone()))).await;
        self.pass(again(forward::whole(bytes))).await
    }

    /// Forwards the call and discards the response.
    async fn take_effect(&self, call: Call) {
        let _ = self.pass(call).await.into_body().collect().await;
    }

    fn kill(&self, caller: Option<&Caller>, sequence: u64) {
        match caller {
            Some(caller) => crate::process::signal_process(caller.pid, Signal::KILL),
            None => self.shared().record.disturbed(sequence, "caller not found"),
        }
    }
}

async fn collect(body: Incoming) -> Option<Bytes> {
    body.collect().await.ok().map(http_body_util::Collected::to_bytes)
}

fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn json(status: u16, value: &impl serde::Serialize) -> Answer {
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut answer = Response::new(forward::whole(Bytes::from(text)));
    *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    answer.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    answer
}

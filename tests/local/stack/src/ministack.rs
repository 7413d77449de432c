//! Starts ministack, which provides all AWS services but the Data API.
//!
//! It listens on a private port. It is configured with the gateway's port for users as its own address, which queue URLs contain; the
//! function processes that it starts inherit the gateway's port for functions as their AWS endpoint.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use local_client::http::Http;

use crate::exec_child::DeathSignal;
use crate::process::{Program, Running};

/// The ASGI application.
const APPLICATION: &str = "ministack_app:app";
/// The application's files.
const FILES: [(&str, &str); 3] = [
    ("ministack_app.py", include_str!("ministack_app.py")),
    ("ministack_batches.py", include_str!("ministack_batches.py")),
    ("ministack_pipes.py", include_str!("ministack_pipes.py")),
];

/// ministack's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Python of the venv with ministack.
    pub python: PathBuf,
    /// Folder for its temporary files and its home.
    pub folder: PathBuf,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// The gateway's address for users.
    pub endpoint: SocketAddr,
    /// The gateway's address for functions.
    pub functions_endpoint: SocketAddr,
    /// Whether signatures and IAM policies are checked.
    pub auth: bool,
    /// Whether batches for event source mappings are collected up to their size and window.
    pub batching: bool,
}

/// Starts ministack. It is not ready yet.
pub fn start(settings: &Settings, log_dir: &Path) -> Result<Running> {
    let temporary = settings.folder.join("tmp");
    std::fs::create_dir_all(&temporary).with_context(|| format!("cannot create `{}`", temporary.display()))?;
    for (name, text) in FILES {
        let file = settings.folder.join(name);
        std::fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    let arguments = ["-m", "hypercorn", APPLICATION, "--workers", "0", "--keep-alive", "75", "--bind"];
    let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
    arguments.push(settings.listen.to_string());
    let program = Program {
        name: "ministack",
        executable: settings.python.clone(),
        arguments,
        environment: environment(settings, &temporary),
        folder: settings.folder.clone(),
        user: None,
        death_signal: DeathSignal::Kill,
    };
    program.start(log_dir)
}

/// Waits until ministack is ready.
pub async fn wait_ready(running: &mut Running, listen: SocketAddr) -> Result<()> {
    let http = Http::new();
    let uri = format!("http://{listen}/_ministack/ready");
    running.wait_ready(|| async { http.status(&uri).await.is_some_and(|status| status.is_success()) }).await
}

/// ministack's environment. Function processes inherit it, with their role's credentials and their own variables added.
fn environment(settings: &Settings, temporary: &Path) -> Vec<(String, String)> {
    let functions_endpoint = format!("http://{}", settings.functions_endpoint);
    let endpoint = settings.endpoint;
    let fixed = [
        ("HOME", settings.folder.display().to_string()),
        ("TMPDIR", temporary.display().to_string()),
        ("LANG", "C.UTF-8".to_owned()),
        ("PYTHONUNBUFFERED", "1".to_owned()),
        ("MINISTACK_HOST", endpoint.ip().to_string()),
        ("GATEWAY_PORT", endpoint.port().to_string()),
        ("MINISTACK_ACCOUNT_ID", crate::ACCOUNT.to_owned()),
        ("MINISTACK_REGION", crate::REGION.to_owned()),
        ("AUTH", settings.auth.to_string()),
        ("BATCHING", settings.batching.to_string()),
        ("LAMBDA_EXECUTOR", "local".to_owned()),
        ("SFTP_ENABLED", "0".to_owned()),
        ("IOT_MTLS_ENABLED", "0".to_owned()),
        ("DOCKER_HOST", format!("unix://{}", temporary.join("no-docker").display())),
        ("AWS_ACCESS_KEY_ID", crate::ACCESS_KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", crate::SECRET_ACCESS_KEY.to_owned()),
        ("AWS_DEFAULT_REGION", crate::REGION.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_ENDPOINT_URL", functions_endpoint.clone()),
        ("AWS_ENDPOINT_URL_REDSHIFT_DATA", functions_endpoint),
    ];
    let mut environment: Vec<(String, String)> =
        fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for name in ["PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "RUST_BACKTRACE"] {
        environment.extend(std::env::var(name).ok().map(|value| (name.to_owned(), value)));
    }
    environment
}

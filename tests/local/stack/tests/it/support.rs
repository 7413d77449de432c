//! Shared by the tests: a stack that does not check signatures, clients, and a small function.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use local_client::{GatewayAdmin, Stack, StackInfo, StackOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

const BOOTSTRAP: &str = include_str!("bootstrap.py");

/// The clone that the tests run in.
pub fn clone_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Starts a stack in `dir`.
pub async fn start(dir: &Path, auth: bool) -> Stack {
    let (clone_root, dir) = (clone_root(), dir.to_owned());
    let options = StackOptions { clone_root, dir, auth, batching: true, ..StackOptions::default() };
    local_client::start(options, |_| {}).await.expect("the stack starts")
}

/// The stack that most tests share, one test at a time, because toxics are global.
pub async fn shared() -> Shared {
    static STACK: OnceCell<(StackInfo, Mutex<()>)> = OnceCell::const_new();
    let (info, lock) = STACK
        .get_or_init(|| async {
            let dir = tempfile::tempdir().expect("a folder").keep();
            let stack = start(&dir, false).await;
            let info = stack.info().clone();
            // The stack ends with this process, because that closes its standard input.
            std::mem::forget(stack);
            (info, Mutex::new(()))
        })
        .await;
    let guard = lock.lock().await;
    let gateway = GatewayAdmin::new(&info.endpoint);
    gateway.clear_toxics().await.expect("toxics can be cleared");
    gateway.reset_calls().await.expect("counts can be reset");
    Shared { info: info.clone(), gateway, _guard: guard }
}

/// The shared stack, reserved for one test until dropped.
pub struct Shared {
    pub info: StackInfo,
    pub gateway: GatewayAdmin,
    _guard: MutexGuard<'static, ()>,
}

macro_rules! client {
    ($name:ident, $sdk:ident) => {
        /// A client without retries, so that every fault is visible.
        pub fn $name(endpoint: &str, credentials: Option<[String; 3]>) -> $sdk::Client {
            use $sdk::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
            let [key, secret, token] = credentials.unwrap_or(["test".into(), "test".into(), String::new()]);
            let token = (!token.is_empty()).then_some(token);
            let config = $sdk::Config::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .region(Region::new("us-east-1"))
                .credentials_provider(Credentials::new(key, secret, token, None, "test"))
                .retry_config(RetryConfig::disabled())
                .endpoint_url(endpoint);
            $sdk::Client::from_conf(config.build())
        }
    };
}
client!(s3, aws_sdk_s3);
client!(sqs, aws_sdk_sqs);
client!(dynamodb, aws_sdk_dynamodb);
client!(lambda, aws_sdk_lambda);
client!(redshift_data, aws_sdk_redshiftdata);

/// Creates the test function with a role.
pub async fn create_function(info: &StackInfo, name: &str, role: &str) {
    let code = FunctionCode::builder().zip_file(Blob::new(zip())).build();
    lambda(&info.endpoint, None)
        .create_function()
        .function_name(name)
        .runtime(Runtime::Providedal2023)
        .handler("bootstrap")
        .role(format!("arn:aws:iam::000000000000:role/{role}"))
        .timeout(10)
        .code(code)
        .send()
        .await
        .expect("the function is created");
}

/// Invokes the test function. Returns the error text if it fails.
pub async fn invoke(info: &StackInfo, name: &str, event: &Value) -> Result<Value, String> {
    let client = lambda(&info.endpoint, None);
    let invoked = client.invoke().function_name(name).payload(Blob::new(event.to_string())).send();
    let invoked = invoked.await.map_err(|error| format!("{error:?}"))?;
    let payload = invoked.payload.map(Blob::into_inner).unwrap_or_default();
    match invoked.function_error {
        Some(_) => Err(String::from_utf8_lossy(&payload).into_owned()),
        None => Ok(serde_json::from_slice(&payload).expect("the function returns JSON")),
    }
}

fn zip() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("bootstrap", options).expect("a zip");
    zip.write_all(BOOTSTRAP.as_bytes()).expect("a zip");
    zip.finish().expect("a zip").into_inner()
}

/// All processes whose command line, environment or working folder mentions `folder`, except zombies.
pub fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy().into_owned();
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("a /proc").flatten() {
        let process = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = |file: &str| std::fs::read(process.join(file)).unwrap_or_default();
        let shown = String::from_utf8_lossy(&[text("cmdline"), text("environ")].concat()).replace('\0', " ");
        let works_there = std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&folder));
        if name != own && name.parse::<u32>().is_ok() && (shown.contains(&folder) || works_there) {
            found.push(format!("{name}: {}", &shown[..shown.len().min(120)]));
        }
    }
    found
}

/// Waits until the processes have ended, for at most five seconds, and returns those that are left.
pub async fn left_after_a_while(folder: &Path) -> Vec<String> {
    for _ in 0..100 {
        if processes_of(folder).is_empty() {
            return Vec::new();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    processes_of(folder)
}

/// A folder that the unprivileged user of the warehouse cannot reach.
pub fn private_folder() -> TempDir {
    tempfile::Builder::new().prefix("local-stack-test-").tempdir().expect("a folder")
}

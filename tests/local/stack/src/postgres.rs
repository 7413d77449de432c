//! The warehouse: a new PostgreSQL server that runs as long as the stack.
//!
//! Its data is not kept, so nothing is synced to disk. PostgreSQL refuses to run as root; if the supervisor is root, the server runs as an
//! unprivileged user, with its data (and its binaries, if that user cannot reach them) in a private temporary folder.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::exec_child::DeathSignal;
use crate::process::{self, Program, Running};

/// The superuser of the warehouse.
pub const USER: &str = "loader";
/// The user that runs the server if the supervisor is root: `nobody` on every Linux.
const UNPRIVILEGED: u32 = 65534;
const STOP_SECONDS_MAX: u64 = 5;
const READY: &str = "database system is ready to accept connections";

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    running: Running,
    address: SocketAddr,
    // Removes the folder when dropped.
    _folder: TempDir,
}

/// A data folder that a server can be started on.
#[derive(Debug)]
pub struct Prepared {
    folder: TempDir,
    bin: PathBuf,
    user: Option<u32>,
}

/// Creates the data folder, with the binaries in `bin`.
pub fn prepare(bin: &Path, log_dir: &Path) -> Result<Prepared> {
    let folder = tempfile::Builder::new().prefix("local-stack-warehouse-").tempdir();
    let folder = folder.context("cannot create a folder for the warehouse")?;
    let user = process::is_root().then_some(UNPRIVILEGED);
    let mut bin = bin.to_owned();
    if let Some(user) = user {
        chown(folder.path(), Some(user), Some(user)).context("cannot change the owner of the warehouse's folder")?;
        if !runs_as(&bin, user) {
            bin = copy_binaries(&bin, folder.path())?;
        }
    }
    let prepared = Prepared { folder, bin, user };
    prepared.initdb(log_dir)?;
    Ok(prepared)
}

impl Prepared {
    /// The temporary folder. The guard removes it if the supervisor is killed.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the server. It is not ready yet.
    pub fn start(self, log_dir: &Path) -> Result<Postgres> {
        let port = process::free_port()?;
        let mut arguments = vec!["-D".to_owned(), "data".to_owned()];
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
            "fsync=off".to_owned(),
            "synchronous_commit=off".to_owned(),
            "full_page_writes=off".to_owned(),
            "max_connections=200".to_owned(),
            "shared_buffers=64MB".to_owned(),
            "logging_collector=off".to_owned(),
        ];
        for setting in settings {
            arguments.extend(["-c".to_owned(), setting]);
        }
        let running = self.program("postgres", arguments).start(log_dir)?;
        Ok(Postgres { running, address: (Ipv4Addr::LOCALHOST, port).into(), _folder: self.folder })
    }

    fn initdb(&self, log_dir: &Path) -> Result<()> {
        let arguments =
            ["--pgdata=data", "--username", USER, "--auth=trust", "--no-locale", "--encoding=UTF8", "--no-sync"];
        self.program("initdb", arguments.map(str::to_owned).into()).run(log_dir).context("cannot create the warehouse")
    }

    fn program(&self, name: &'static str, arguments: Vec<String>) -> Program {
        let path = std::env::var("PATH").unwrap_or_default();
        let home = self.folder.path().display().to_string();
        let fixed = [("PATH", path), ("HOME", home.clone()), ("TMPDIR", home), ("LC_ALL", "C".to_owned())];
        Program {
            name,
            executable: self.bin.join(name),
            arguments,
            environment: fixed.map(|(name, value)| (name.to_owned(), value)).into(),
            folder: self.folder.path().to_owned(),
            user: self.user,
            death_signal: DeathSignal::Quit,
        }
    }
}

impl Postgres {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's process group.
    pub fn group(&self) -> u32 {
        self.running.group()
    }

    /// Waits until the server accepts connections.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let log = self.running.log().to_owned();
        let is_ready = || async { std::fs::read_to_string(&log).is_ok_and(|text| text.contains(READY)) };
        self.running.wait_ready(is_ready).await
    }

    /// If the server has ended by itself, a message with the end of its log.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.running.ended()?;
        Some(format!("the warehouse ended with {status}{}", self.running.last_lines()))
    }

    /// Stops the server and removes its data.
    pub async fn stop(self) {
        self.running.stop(Signal::QUIT, Duration::from_secs(STOP_SECONDS_MAX)).await;
    }
}

/// Whether `user` can reach and run the binaries.
fn runs_as(bin: &Path, user: u32) -> bool {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(bin.join("postgres"));
    command.arg("--version").uid(user).gid(user).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Copies the installation that `bin` belongs to into `folder` and returns its new `bin`.
/// The programs of a wheel in `package/installation/bin` find their libraries in `package.libs` by a relative path, so that is copied too.
fn copy_binaries(bin: &Path, folder: &Path) -> Result<PathBuf> {
    let installation = bin.parent().context("the PostgreSQL folder has no parent")?;
    let package = installation.parent().context("the PostgreSQL folder has no parent")?;
    let target = folder.join("postgresql");
    let copied = target.join("package").join("installation");
    copy_folder(installation, &copied).with_context(|| format!("cannot copy `{}`", installation.display()))?;
    let libraries = PathBuf::from(format!("{}.libs", package.display()));
    if libraries.is_dir() {
        let name = libraries.file_name().context("no name")?;
        copy_folder(&libraries, &target.join(name)).context("cannot copy PostgreSQL's libraries")?;
    }
    Ok(copied.join("bin"))
}

fn copy_folder(source: &Path, target: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(target)?;
    std::fs::set_permissions(target, std::fs::Permissions::from_mode(0o755))?;
    for entry in std::fs::read_dir(source)? {
        let entry = entry?;
        let to = target.join(entry.file_name());
        if std::fs::metadata(entry.path())?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), &to)?;
            // With a strict umask only the owner could use these files: give the unprivileged user the owner's permissions.
            let mode = std::fs::metadata(&to)?.permissions().mode();
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(mode | (mode & 0o500) >> 6 | 0o044))?;
        }
    }
    Ok(())
}

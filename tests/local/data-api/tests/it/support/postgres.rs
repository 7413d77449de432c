//! A PostgreSQL server for each test process, in a temporary folder. It ends with the process.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Part of the socket's name. The server does not listen on a port.
pub const PORT: u16 = 5432;
const NOBODY: u32 = 65534;

pub struct Server {
    /// The folder of its Unix socket.
    pub socket: String,
    /// A shell that stops the server when this process ends, which closes the shell's standard input.
    _guard: Child,
}

pub fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(start)
}

fn start() -> Server {
    let binaries = binaries();
    let folder = tempfile::Builder::new().prefix("standin-pg-").tempdir().expect("a folder").keep();
    let root = std::fs::metadata(&folder).expect("metadata").uid() == 0;
    if root {
        chown(&folder, Some(NOBODY), Some(NOBODY)).expect("the owner of the folder is changed");
    }
    let user = |command: &mut Command| {
        command.current_dir("/");
        if root {
            command.uid(NOBODY).gid(NOBODY);
        }
    };
    let data = folder.join("data");
    let mut initdb = Command::new(binaries.join("initdb"));
    initdb.args(["-A", "trust", "-U", "postgres", "-N", "--no-locale", "-E", "UTF8", "-D"]).arg(&data);
    user(&mut initdb);
    let output = initdb.output().expect("initdb runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let guard = guard(&binaries, &folder, user);
    let socket = folder.join(format!(".s.PGSQL.{PORT}"));
    let until = Instant::now() + Duration::from_secs(20);
    while !socket.exists() {
        assert!(Instant::now() < until, "PostgreSQL does not start, see {}", folder.join("log").display());
        std::thread::sleep(Duration::from_millis(10));
    }
    Server { socket: folder.display().to_string(), _guard: guard }
}

fn guard(binaries: &Path, folder: &Path, user: impl FnOnce(&mut Command)) -> Child {
    const SCRIPT: &str = r#"
        "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=200 >"$2/log" 2>&1 </dev/null &
        cat >/dev/null
        kill -QUIT $!
        wait
        rm -rf "$2""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", SCRIPT, "guard"]).args([binaries, folder]).stdin(Stdio::piped()).process_group(0);
    user(&mut shell);
    shell.spawn().expect("a shell")
}

/// PostgreSQL's programs: `$PG_BIN`, or the newest Debian package.
fn binaries() -> PathBuf {
    if let Some(folder) = std::env::var_os("PG_BIN") {
        return folder.into();
    }
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed, or PG_BIN names its folder");
    let newest = versions.flatten().map(|entry| entry.path()).max();
    newest.expect("a version of PostgreSQL").join("bin")
}

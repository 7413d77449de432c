//! Finds the process at the other end of a loopback connection, and the function that it runs. Works on Linux only.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use local_client::calls::Port;
use tokio::sync::OnceCell;

/// A calling process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The process id.
    pub pid: u32,
    /// The function that it runs, if any.
    pub function: Option<String>,
}

/// An accepted connection. Its caller is looked up once, and only on the port for functions.
#[derive(Debug)]
pub struct Connection {
    /// The port that it arrived at.
    pub port: Port,
    peer: SocketAddr,
    caller: OnceCell<Option<Caller>>,
}

impl Connection {
    /// Creates a connection whose caller is not known yet.
    pub fn new(port: Port, peer: SocketAddr) -> Self {
        Self { port, peer, caller: OnceCell::new() }
    }

    /// The calling process, if it can be found.
    pub async fn caller(&self) -> Option<Caller> {
        if self.port == Port::Users {
            return None;
        }
        let peer = self.peer;
        let look = || async move { tokio::task::spawn_blocking(move || find(peer)).await.ok().flatten() };
        self.caller.get_or_init(look).await.clone()
    }
}

/// The kernel's tables are not read atomically: a search can miss a line or a process while other connections are opened and closed.
const ATTEMPTS: u32 = 20;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(5);

fn find(peer: SocketAddr) -> Option<Caller> {
    let n_attempts = if cfg!(target_os = "linux") { ATTEMPTS } else { 0 };
    (0..n_attempts).find_map(|n| {
        std::thread::sleep(BETWEEN_ATTEMPTS * n.min(1));
        search(peer)
    })
}

fn search(peer: SocketAddr) -> Option<Caller> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        table.lines().skip(1).find_map(|line| inode_of(line, peer).map(str::to_owned))
    })?;
    let link = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?;
    let pid = processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| has_open(*pid, &link))?;
    Some(Caller { pid, function: function(pid) })
}

/// The inode in a line of the kernel's table, if the line describes the socket bound to `peer`.
fn inode_of(line: &str, peer: SocketAddr) -> Option<&str> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let (address, port) = local.split_once(':')?;
    let port_matches = u16::from_str_radix(port, 16).ok()? == peer.port();
    // Loopback only: 127.0.0.1, in an IPv4 or a mapped IPv6 table.
    (port_matches && address.ends_with("0100007F")).then(|| fields.nth(7)).flatten()
}

fn has_open(pid: u32, link: &str) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target == Path::new(link)))
}

fn function(pid: u32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find_map(|pair| {
        let value = std::str::from_utf8(pair).ok()?.strip_prefix("AWS_LAMBDA_FUNCTION_NAME=")?;
        Some(value.to_owned())
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::find;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_of_this_process_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        let caller = find(stream.local_addr().expect("an address")).expect("a caller");
        assert_eq!(caller.pid, std::process::id());
        assert_eq!(caller.function, None);
    }
}

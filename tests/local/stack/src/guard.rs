//! The guard: a small process that cleans up after a killed supervisor.
//!
//! The supervisor writes to its standard input, line by line, what there is to clean up (`group <id>`, `quit <id>`, `remove <path>`). If the
//! input ends without `done`, the supervisor was killed. Then the guard kills the process groups (ministack's also contains the processes
//! of the functions) and removes the private folders.

use std::fs::File;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use local_client::info::GUARD_LOCK_FILE;
use rustix::process::Signal;

use crate::process;

/// The supervisor's handle of the guard.
#[derive(Debug)]
pub struct Guard {
    child: Child,
    input: ChildStdin,
}

impl Guard {
    /// Starts the guard of the stack in `dir`.
    pub fn start(dir: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("guard")
            .arg("--dir")
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start the guard process")?;
        let input = child.stdin.take().context("the guard has no input")?;
        Ok(Self { child, input })
    }

    /// Adds a process group to kill.
    pub fn group(&mut self, id: u32) -> Result<()> {
        self.write_line(&format!("group {id}"))
    }

    /// Adds a process group that gets SIGQUIT before it is killed.
    pub fn quit(&mut self, id: u32) -> Result<()> {
        self.write_line(&format!("quit {id}"))
    }

    /// Adds a folder to remove.
    pub fn remove(&mut self, path: &Path) -> Result<()> {
        self.write_line(&format!("remove {}", path.display()))
    }

    /// Ends the guard without cleaning up, because the supervisor has done so.
    pub fn done(mut self) -> Result<()> {
        self.write_line("done")?;
        drop(self.input);
        self.child.wait().context("cannot wait for the guard")?;
        Ok(())
    }

    fn write_line(&mut self, line: &str) -> Result<()> {
        writeln!(self.input, "{line}").and_then(|()| self.input.flush()).context("the guard process has ended")
    }
}

/// Runs the guard process.
pub fn run(dir: &Path) -> Result<()> {
    let lock = File::create(dir.join(GUARD_LOCK_FILE)).context("cannot create the guard's lock file")?;
    lock.lock().context("cannot lock the guard's lock file")?;
    let mut duties = Duties::default();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if line == "done" {
            return Ok(());
        }
        duties.note(&line);
    }
    duties.clean_up();
    Ok(())
}

#[derive(Debug, Default)]
struct Duties {
    groups: Vec<u32>,
    quits: Vec<u32>,
    folders: Vec<PathBuf>,
}

impl Duties {
    fn note(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("group", id)) => self.groups.extend(id.parse::<u32>()),
            Some(("quit", id)) => self.quits.extend(id.parse::<u32>()),
            Some(("remove", path)) => self.folders.push(path.into()),
            _ => {}
        }
    }

    fn clean_up(&self) {
        for id in &self.quits {
            process::signal_group(*id, Signal::QUIT);
        }
        for id in &self.groups {
            process::signal_group(*id, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(500));
        for id in &self.quits {
            process::signal_group(*id, Signal::KILL);
        }
        for folder in &self.folders {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

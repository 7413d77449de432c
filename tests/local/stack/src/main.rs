//! The program `local-stack`: its command line, and the modes that its own processes run in.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local_stack::supervisor::{self, Up};
use local_stack::{exec_child, guard};

#[derive(Debug, Parser)]
#[command(name = "local-stack", about = "AWS, a warehouse and the Redshift Data API on this machine")]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Starts a stack and prints its progress as JSON lines.
    Up(Up),
    /// Stops a folder's stack.
    Down {
        /// Folder of the stack.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Prints the addresses of a folder's stack.
    Status {
        /// Folder of the stack.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Runs the detached supervisor.
    #[command(hide = true)]
    Supervise(Up),
    /// Executes a program that ends with its parent.
    #[command(hide = true)]
    ExecChild(exec_child::ExecChild),
    /// Cleans up after a killed supervisor.
    #[command(hide = true)]
    Guard {
        /// Folder of the stack.
        #[arg(long)]
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().mode) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mode: Mode) -> anyhow::Result<ExitCode> {
    match mode {
        Mode::Up(up) => return supervisor::up(up),
        Mode::Supervise(up) => return supervisor::supervise(up),
        Mode::ExecChild(options) => exec_child::run(&options)?,
        Mode::Guard { dir } => guard::run(&dir)?,
        Mode::Down { dir } => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let was_up = runtime.block_on(local_client::down(&dir))?;
            println!("{}", serde_json::json!({ "was_up": was_up }));
        }
        Mode::Status { dir } => {
            let Some(info) = local_client::info(&dir)? else {
                eprintln!("no local stack is up in `{}`", dir.display());
                return Ok(ExitCode::FAILURE);
            };
            println!("{}", serde_json::to_string_pretty(&info)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

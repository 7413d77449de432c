//! `cargo xtask simulate`: long runs of the simulation of `tests/model`, which is a program of its own so that this one
//! stays small.

use anyhow::{Context, Result};
use clap::Args;

use crate::output::Failure;
use crate::shell;

/// `cargo xtask simulate`
#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// How many seeds; each is a world of its own
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed: the same seed is the same run, call by call
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// 300 tables and thousands of files per seed, instead of a handful
    #[arg(long)]
    big: bool,
}

/// Runs the command.
pub fn run(args: &SimulateArgs) -> Result<()> {
    let (seeds, from) = (args.seeds.to_string(), args.from.to_string());
    let mut command = shell::cargo(&["run", "--quiet", "--package", "loader-model", "--bin", "simulate", "--"]);
    command.args(["--seeds", &seeds, "--from", &from]);
    if args.big {
        command.arg("--big");
    }
    if command.status().context("cannot start cargo")?.success() {
        return Ok(());
    }
    Err(Failure::new("the simulation found a violation, or was stopped", "repeat the seed that is named above").into())
}

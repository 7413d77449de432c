//! `cargo xtask simulate`: long runs of the simulation in `tests/proof`, which is a separate program so that this one stays small.

use std::ffi::OsString;

use anyhow::{Context, Result};
use clap::Args;

use crate::ground::output::Failure;
use crate::ground::shell;

/// `cargo xtask simulate`
#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// Options of the simulation; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

pub fn run(args: &SimulateArgs) -> Result<()> {
    let mut command = shell::cargo(&["run", "--quiet", "--package", "proof", "--bin", "simulate", "--"]);
    let status = command.args(&args.options).status().context("cannot start cargo")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(2) => {
            Err(Failure::usage("the simulation does not take these options", "cargo xtask simulate --help").into())
        }
        _ => {
            let hint = "repeat the seed that is named above: cargo xtask simulate --seeds 1 --from SEED";
            Err(Failure::new("the simulation found a violation, or was stopped", hint).into())
        }
    }
}

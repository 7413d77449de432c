//! `cargo xtask fuzz`: a long, coverage-guided run of a fuzz target. A short run is part of `cargo xtask test`.

use anyhow::{Context, Result};
use clap::Args;
use synth::workspace;

use crate::ground::output::Failure;
use crate::ground::shell;

const FOLDER: &str = "runtime/core/fuzz";

/// `cargo xtask fuzz`
#[derive(Args, Debug)]
pub struct FuzzArgs {
    /// Parser to fuzz
    #[arg(value_parser = ["s3_notification", "configuration", "status_change", "bulk_request", "tracker_item"])]
    target: String,
    /// Duration of the run
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

pub fn run(args: &FuzzArgs) -> Result<()> {
    if !shell::is_installed("cargo-fuzz") {
        let hint = "install it: cargo install cargo-fuzz && rustup toolchain install nightly";
        return Err(Failure::new("cargo-fuzz is not installed", hint).into());
    }
    let target = args.target.as_str();
    // New inputs are written to the first folder, so the seeds are the second.
    let (corpus, seeds) = (format!("{FOLDER}/corpus/{target}"), format!("{FOLDER}/seeds/{target}"));
    std::fs::create_dir_all(workspace::root().join(&corpus)).context(corpus.clone())?;
    let mut command = shell::rustup_cargo("nightly");
    command.args(["fuzz", "run", "--fuzz-dir", FOLDER, "--sanitizer", "none", target, &corpus, &seeds]);
    command.args(["--", &format!("-max_total_time={}", args.seconds)]);
    if command.status().context("cannot start cargo")?.success() {
        return Ok(());
    }
    let hint = "the input is in runtime/core/fuzz/artifacts: add it to the seeds, then fix what it breaks";
    Err(Failure::new(format!("an input breaks {target}, or the run did not start"), hint).into())
}

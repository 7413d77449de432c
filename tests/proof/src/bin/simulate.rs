//! `simulate`: long runs of the simulation; `cargo xtask simulate` starts it.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use proof::simulation::{Options, simulate};

/// Seeds after which a line tells how far the run is.
const PROGRESS_SEEDS: u64 = 100;

/// Runs the three functions in virtual time, with faults at every call, and judges the seven invariants
#[derive(Parser, Debug)]
#[command(
    name = "cargo xtask simulate",
    bin_name = "cargo xtask simulate",
    after_help = "Example: cargo xtask simulate --seeds 10000 --from 5000\n\nExit codes: 0 every invariant held, 1 a seed broke one."
)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// 300 tables and thousands of files per seed, instead of a handful
    #[arg(long)]
    big: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Arguments { seeds, from, big } = arguments;
    let started = Instant::now();
    let (mut loads, mut faults, mut crashes, mut failed) = (0, 0, 0, 0);
    for seed in from..from.saturating_add(seeds) {
        let options = if big { Options::big() } else { Options::of_seed(seed) };
        let outcome = simulate(seed, &options);
        loads += outcome.loads;
        faults += outcome.faults;
        crashes += outcome.crashes;
        if !outcome.violations.is_empty() {
            failed += 1;
            let flag = if big { " --big" } else { "" };
            eprintln!("seed {seed} breaks an invariant:\n  {}", outcome.violations.join("\n  "));
            eprintln!("the same run again: cargo xtask simulate --seeds 1 --from {seed}{flag}");
        }
        let n_done = seed - from + 1;
        if n_done % PROGRESS_SEEDS == 0 && stderr().is_terminal() {
            eprintln!("{n_done} of {seeds} seeds, {failed} failed");
        }
    }
    println!(
        "{seeds} seeds from {from}: {loads} loads, {faults} faults, {crashes} crashes, {failed} failed ({:.1} s)",
        started.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

//! The program `simulate`: long runs of the simulation. `cargo xtask simulate` starts it.

use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use proof::day;
use proof::day::arrivals::{self, Shape};
use proof::day::cost::Cost;
use proof::simulation::{Options, simulate};

/// Number of seeds between lines of progress.
const PROGRESS_SEEDS: u64 = 100;

/// Runs the three functions in virtual time, with faults at every call, and checks the seven invariants
#[derive(Parser, Debug)]
#[command(
    name = "cargo xtask simulate",
    bin_name = "cargo xtask simulate",
    after_help = "Examples:\n  cargo xtask simulate --seeds 10000 --from 5000\n  cargo xtask simulate --cost --files 2000 --tables 5\n\nExit codes: 0 every invariant held, 1 a seed broke one."
)]
struct Arguments {
    /// Number of seeds
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Simulate 300 tables and thousands of files per seed, instead of a few
    #[arg(long)]
    big: bool,
    /// Print what a day costs and how long files wait, without faults (docs/performance-day.md)
    #[arg(long, conflicts_with_all = ["seeds", "from", "big"])]
    cost: bool,
    /// Number of files in that day
    #[arg(long, default_value_t = 2000, requires = "cost")]
    files: usize,
    /// Target tables of that day
    #[arg(long, default_value_t = 5, requires = "cost", value_parser = clap::value_parser!(u16).range(1..))]
    tables: u16,
    /// File that lists the day's files, one `millis,bytes` per line, instead of `--files`
    #[arg(long, requires = "cost", conflicts_with = "files")]
    trace: Option<PathBuf>,
    /// RPU of the workgroup
    #[arg(long, requires = "cost", default_value_t = Cost::default().rpu)]
    rpu: f64,
    /// Price of an RPU hour in dollars
    #[arg(long, requires = "cost", default_value_t = Cost::default().rpu_hour_dollars)]
    dollars_per_rpu_hour: f64,
    /// Also print scale and quotas: 1,000 tables and up to this many files; 1000000 takes minutes
    #[arg(long, requires = "cost")]
    scale: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.cost {
        return match cost(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                eprintln!("{problem}");
                ExitCode::from(2)
            }
        };
    }
    let Arguments { seeds, from, big, .. } = arguments;
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

/// Prints the tables of a day.
fn cost(arguments: &Arguments) -> Result<(), String> {
    let tables = usize::from(arguments.tables);
    let shapes = match &arguments.trace {
        Some(path) => vec![("as the list says", replayed(path, tables)?)],
        None => vec![("steadily", Shape::Steady), ("in bursts", Shape::Bursty)],
    };
    let (rpu, rpu_hour_dollars) = (arguments.rpu, arguments.dollars_per_rpu_hour);
    let cost = Cost { rpu, rpu_hour_dollars, ..Cost::default() };
    println!("{cost:#?}\n");
    for (name, shape) in shapes {
        let (files, cost) = (arguments.files, cost.clone());
        let options = day::Options { tables, files, shape, cost, ..day::Options::default() };
        println!("Files arrive {name}, tables: {tables}\n");
        day::print::freshness(&options);
        println!();
    }
    println!("A file a minute for each table, loads of five seconds\n");
    day::print::wakes(&[1, 5, 20, 200], 6, &cost);
    println!("\nFive tables, as many files at any instants\n");
    day::print::bill(24, &cost);
    println!();
    if let Some(files) = arguments.scale {
        let sizes: Vec<(usize, usize)> = [(100, 10_000), (1_000, 10_000), (1_000, 100_000), (1_000, 1_000_000)]
            .into_iter()
            .filter(|(_, size)| *size <= files)
            .collect();
        println!("Scale\n");
        day::print::scale(&sizes);
        println!("\nQuotas: one hour, 1000 tables\n");
        day::print::limits(1_000);
    }
    Ok(())
}

fn replayed(path: &Path, tables: usize) -> Result<Shape, String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!("cannot read the list `{}` ({error}): name a file of `millis,bytes`", path.display())
    })?;
    arrivals::parse(&text, tables).map(Shape::Replayed).map_err(|problem| format!("`{}`, {problem}", path.display()))
}

//! The scenarios, each of which can be measured alone.

use clap::ValueEnum;

/// One scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scenario {
    /// Zips, cold starts, memory
    Start,
    /// Files one by one: appended, merged, written once; also with 50 ms added to each call
    One,
    /// `--files` files at once, one table
    Burst,
    /// Ten times as many files at once, one table
    Large,
    /// Like `burst`, with `load.write_once`
    WriteOnce,
    /// One file per second for a minute, one table
    Steady,
    /// Ten files for each of fifty tables at once
    Tables,
}

//! What can be measured, each by itself.

use clap::ValueEnum;

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scenario {
    /// Zips, cold starts, memory
    Start,
    /// One file after the other: appended, merged, written once; also with 50 ms more at each call
    One,
    /// `--files` files at once, one table
    Burst,
    /// The same, ten times as many
    Large,
    /// The same as `burst`, with `load.write_once`
    WriteOnce,
    /// A file a second for a minute, one table
    Steady,
    /// Ten files for each of fifty tables at once
    Tables,
}

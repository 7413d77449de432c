//! Terminal output: steps with durations, and errors whose next step is on a separate line.
//!
//! Progress goes to standard output, or to standard error if the result is printed as JSON. Colors and moving lines appear only on a
//! terminal, and never if `NO_COLOR` is set.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// How a command prints its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document on standard output; progress goes to standard error.
    Json,
}

/// Where a command writes.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    json: bool,
    color: bool,
    live: bool,
}

impl Out {
    /// Output in this format.
    pub fn new(format: Format) -> Self {
        let json = format == Format::Json;
        let terminal = if json { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, color, live: terminal && std::io::stderr().is_terminal() }
    }

    pub fn is_json(self) -> bool {
        self.json
    }

    /// Prints a line of progress.
    pub fn line(self, text: impl AsRef<str>) {
        // A closed reader (`| head`) is not a failure of the command.
        let _ = if self.json {
            writeln!(std::io::stderr(), "{}", text.as_ref())
        } else {
            writeln!(std::io::stdout(), "{}", text.as_ref())
        };
    }

    /// Prints that something succeeded.
    pub fn ok(self, text: impl fmt::Display) {
        self.line(format!("{} {text}", self.good("ok")));
    }

    /// Prints something that a person should know, although nothing failed.
    pub fn note(self, text: impl fmt::Display) {
        self.line(format!("{} {text}", self.attention("note:")));
    }

    /// Prints an empty line and a title.
    pub fn title(self, text: &str) {
        self.line(format!("\n{}", self.bold(text)));
    }

    /// Prints the result, in JSON mode only.
    pub fn result(self, value: &impl Serialize) -> anyhow::Result<()> {
        if self.json {
            let _ = writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(value)?);
        }
        Ok(())
    }

    /// Begins a step. End it with [`Step::done`].
    pub fn step(self, text: impl Into<String>) -> Step {
        let text = text.into();
        let bar = self.live.then(|| {
            let bar = ProgressBar::new_spinner().with_message(text.clone());
            bar.set_style(ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is constant"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Step { out: self, text, bar, started: Instant::now() }
    }

    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub fn attention(self, text: &str) -> String {
        self.paint("33", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A step in progress: a moving line on a terminal, and one line when it ends.
#[derive(Debug)]
pub struct Step {
    out: Out,
    text: String,
    bar: Option<ProgressBar>,
    started: Instant,
}

impl Step {
    /// Shows the current activity, on a terminal only.
    pub fn now(&self, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} {}", self.text, self.out.dim(detail)));
        }
    }

    /// Prints a line above the moving one.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.out.line(text)),
            None => self.out.line(text),
        }
    }

    /// Ends the step successfully; `text` says what is true now.
    pub fn done(self, text: impl AsRef<str>) {
        let took = self.out.dim(&format!("({})", seconds(self.started.elapsed())));
        self.clear();
        self.out.ok(format!("{} {took}", text.as_ref()));
    }

    /// Ends the step with a failure, after which the command continues.
    pub fn failed(self, text: impl AsRef<str>) {
        let took = self.out.dim(&format!("({})", seconds(self.started.elapsed())));
        self.clear();
        self.out.line(format!("{} {} {took}", self.out.bad("FAILED"), text.as_ref()));
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A duration for people.
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// A duration in at most six characters: `59 s`, `12 min`, `5 h`, `3 d`.
pub fn short_age(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A number with thousands separators: `1,461`.
pub fn grouped(number: impl ToString + Copy) -> String {
    let text = number.to_string();
    let digit = |(at, letter): (usize, char)| {
        let left = text.len() - at;
        let is_apart = at > 0 && left.is_multiple_of(3) && text.as_bytes()[at - 1] != b'-';
        [is_apart.then_some(','), Some(letter)].into_iter().flatten()
    };
    text.chars().enumerate().flat_map(digit).collect()
}

/// A number with its noun: `1 file`, `2 files`.
pub fn counted(number: impl ToString + Copy, noun: &str) -> String {
    let number = number.to_string();
    let ending = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// A size in at most seven characters: `999 B`, `16.6 KB`, `117 MB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    let (mut unit, mut below) = (1_024_u64, None);
    for name in UNITS {
        if bytes < unit {
            break;
        }
        below = Some((unit, name));
        unit = unit.saturating_mul(1_024);
    }
    match below {
        None => format!("{bytes} B"),
        Some((unit, name)) if bytes / unit < 100 => {
            format!("{}.{} {name}", bytes / unit, (bytes % unit / (unit / 1_024)) * 10 / 1_024)
        }
        Some((unit, name)) => format!("{} {name}", bytes / unit),
    }
}

/// A text shortened to at most this many characters by cutting off its beginning.
fn last_of(text: &str, width: usize) -> String {
    let n_characters = text.chars().count();
    if n_characters <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(n_characters + 1 - width).collect();
    format!("…{kept}")
}

/// A row of a table: each cell in the width of its column, with its beginning cut off if it is longer.
pub fn row<const N: usize>(columns: &[(&str, usize); N], cells: [String; N]) -> String {
    let padded = cells.into_iter().zip(columns).map(|(cell, (_, width))| format!("{:<width$}", last_of(&cell, *width)));
    padded.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

/// How a command fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Something went wrong.
    Failed,
    /// The command line requests something impossible.
    Usage,
    /// The person declined, or no one could be asked.
    Refused,
}

/// An error that says what to do next.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong: one line, lower case, no full stop.
    pub message: String,
    /// What to do next; printed on a separate line.
    pub hint: String,
    pub exit: Exit,
}

impl Failure {
    /// Something went wrong.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), exit: Exit::Failed }
    }

    /// The command line requests something impossible; `hint` says what to write instead.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(message, hint) }
    }

    /// A confirmation is missing; `hint` says how to give it.
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, ..Self::new(message, hint) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Prints an error once, with its whole chain of causes and its hint. Returns the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    // As in JSON mode: on standard error.
    let out = Out::new(Format::Json);
    out.line(format!("{} {error:#}", out.bad("error:")));
    let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
    if let Some(failure) = failure {
        out.line(format!("{} {}", out.bold("next:"), failure.hint));
    }
    match failure.map_or(Exit::Failed, |failure| failure.exit) {
        Exit::Failed => ExitCode::from(1),
        Exit::Usage => ExitCode::from(2),
        Exit::Refused => ExitCode::from(3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_keep_their_width() {
        let minute = 60_000;
        for (millis, text) in [
            (-5, "0 s"),
            (59_999, "59 s"),
            (59 * minute, "59 min"),
            (47 * 60 * minute, "47 h"),
            (90 * 24 * 60 * minute, "90 d"),
        ] {
            assert_eq!(short_age(millis), text);
        }
        for (bytes, text) in
            [(0, "0 B"), (1_023, "1023 B"), (17_000, "16.6 KB"), (123_000_000, "117 MB"), (64 << 30, "64.0 GB")]
        {
            assert_eq!(size(bytes), text);
        }
        assert!(size(u64::MAX).len() <= 8);
        assert_eq!([0, 1, 2].map(|number| counted(number, "file")), ["0 files", "1 file", "2 files"]);
        assert_eq!([0, 999, 1_461, -123_456].map(grouped), ["0", "999", "1,461", "-123,456"]);
        assert_eq!((last_of("abc", 3), last_of("abcd", 3)), ("abc".to_owned(), "…cd".to_owned()));
    }
}

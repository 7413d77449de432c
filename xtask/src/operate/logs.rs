//! `cargo xtask logs`: the logs of the three functions, merged by time.
//!
//! The loader's own lines are JSON: one per event, with the load's id. The platform's START, END and REPORT lines are left out.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use clap::Args;
use loader_core::contract::Function;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::ground::clock::now_millis;
use crate::ground::output::{Format, Out};
use crate::ground::stack_args::StackSelection;
use crate::loader::logs;

const FOLLOW_PAUSE: Duration = Duration::from_secs(2);
/// How far back to look without `--minutes`; a load may have waited long before it failed.
const MINUTES: u32 = 15;
const MINUTES_OF_LOAD: u32 = 1440;
/// CloudWatch may deliver a line after one that was written later.
const LATE_MILLIS: i64 = 30_000;

/// `cargo xtask logs`
#[derive(Args, Debug)]
pub struct LogsArgs {
    #[command(flatten)]
    stack: StackSelection,
    /// How far back [default: 15, with --load a day]
    #[arg(long)]
    minutes: Option<u32>,
    /// Only lines about this table: its name or a part of it
    #[arg(long, value_name = "TEXT")]
    table: Option<String>,
    /// Only lines of this load: its id or the beginning of it
    #[arg(long, value_name = "ID")]
    load: Option<String>,
    /// Keep printing new lines until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

/// A line that a function logged.
struct Line {
    at_millis: i64,
    id: String,
    function: Function,
    message: String,
}

pub async fn run(args: &LogsArgs) -> Result<()> {
    let out = Out::new(Format::Text);
    let (aws, stack) = args.stack.connect().await?;
    let client = aws.logs();
    let minutes = args.minutes.unwrap_or(if args.load.is_some() { MINUTES_OF_LOAD } else { MINUTES });
    let mut since = now_millis() - i64::from(minutes) * 60_000;
    let mut seen = HashSet::new();
    loop {
        let mut lines = Vec::new();
        for function in Function::ALL {
            lines.extend(read(&client, &stack.name, function, since).await?);
        }
        lines.sort_by_key(|line| line.at_millis);
        for line in &lines {
            if seen.insert(line.id.clone()) && is_wanted(&line.message, args.table.as_deref(), args.load.as_deref()) {
                show(out, line);
            }
        }
        if !args.follow {
            return Ok(());
        }
        since = since.max(lines.last().map_or(since, |line| line.at_millis - LATE_MILLIS));
        tokio::time::sleep(FOLLOW_PAUSE).await;
    }
}

async fn read(client: &Client, stack: &str, function: Function, since: i64) -> Result<Vec<Line>> {
    let events = logs::events(client, stack, function, since).await?;
    Ok(events.into_iter().filter_map(|event| line(function, event)).collect())
}

fn line(function: Function, event: FilteredLogEvent) -> Option<Line> {
    let message = event.message?.trim_end().to_owned();
    let platform = ["START ", "END ", "REPORT ", "INIT_START "].iter().any(|word| message.starts_with(word));
    if is_for_machines(&message) {
        return None;
    }
    let own_millis = serde_json::from_str::<Value>(&message).ok().and_then(|value| value["timestamp_millis"].as_i64());
    let at_millis = own_millis.or(event.timestamp)?;
    (!platform && !message.is_empty()).then(|| Line {
        at_millis,
        id: event.event_id.unwrap_or_else(|| format!("{at_millis} {message}")),
        function,
        message,
    })
}

fn show(out: Out, line: &Line) {
    let clock = format_description!("[hour]:[minute]:[second].[subsecond digits:3]");
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(line.at_millis) * 1_000_000).ok();
    let at = at.and_then(|at| at.format(clock).ok()).unwrap_or_default();
    let text = readable(&line.message).unwrap_or_else(|| line.message.clone());
    out.line(format!("{} {:<16} {text}", out.dim(&at), line.function.name()));
}

/// Whether a line has nothing but figures: lines of sweeps if nothing is late or stuck, and metrics without an event.
fn is_for_machines(message: &str) -> bool {
    let value: Option<Value> = serde_json::from_str(message).ok();
    let event = |value: &Value| value["event"].as_str().map(ToOwned::to_owned);
    value.is_some_and(|value| match event(&value).as_deref() {
        None => value.get("_aws").is_some(),
        Some(event) => event == "swept" || event == "waiting" && value["level"] == "INFO",
    })
}

/// Whether a line is about this table and this load, as far as they are given.
fn is_wanted(message: &str, table: Option<&str>, load: Option<&str>) -> bool {
    let of_load = |load: &str| {
        let value: Option<Value> = serde_json::from_str(message).ok();
        value.is_some_and(|value| value["load_id"].as_str().is_some_and(|id| !load.is_empty() && id.starts_with(load)))
    };
    table.is_none_or(|text| message.contains(text)) && load.is_none_or(of_load)
}

/// The line as `event key=value …`, without the punctuation of JSON.
fn readable(message: &str) -> Option<String> {
    let value: Value = serde_json::from_str(message).ok()?;
    let fields = value.as_object()?;
    let event = fields.get("event")?.as_str()?;
    let hidden = ["timestamp_millis", "level", "event"];
    // Metrics in CloudWatch's embedded format begin like this.
    let is_metric = |name: &str| name == "_aws" || name.starts_with(|letter: char| letter.is_ascii_uppercase());
    let shown = fields.iter().filter(|(name, value)| {
        !hidden.contains(&name.as_str()) && !is_metric(name) && !value.is_null() && value.as_str() != Some("")
    });
    let pairs: Vec<String> = shown
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={value}"),
        })
        .collect();
    Some(format!("{event:<12} {}", pairs.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_named_by_how_its_id_begins() {
        let message = r#"{"event":"prepared","table":"cluster:c:d:shop.sales","load_id":"bbf6496f"}"#;
        assert!(is_wanted(message, None, None) && is_wanted(message, Some("shop.sales"), Some("bbf6")));
        assert!(!is_wanted(message, Some("shop.orders"), Some("bbf6")) && !is_wanted(message, None, Some("6496")));
        assert!(!is_wanted("thread panicked bbf6", None, Some("bbf6")) && !is_wanted(message, None, Some("")));
    }

    #[test]
    fn a_line_of_the_loader_loses_its_punctuation() {
        let message = r#"{"timestamp_millis":1,"level":"INFO","event":"claimed","table":"t","load_id":"","statement_id":null,"objects":1}"#;
        assert_eq!(readable(message).as_deref(), Some("claimed      table=t objects=1"));
        let message = r#"{"event":"finished","rows":7,"_aws":{"Timestamp":1},"Stack":"s","LoadsFinished":1}"#;
        assert_eq!(readable(message).as_deref(), Some("finished     rows=7"));
        assert_eq!(readable("thread panicked"), None);
        assert!(!is_for_machines(message) && is_for_machines(r#"{"event":"swept","_aws":{}}"#));
        let waiting = |level: &str| is_for_machines(&format!(r#"{{"level":"{level}","event":"waiting"}}"#));
        assert!(waiting("INFO") && !waiting("WARN"));
        assert!(is_for_machines(r#"{"_aws":{}}"#) && !is_for_machines("thread panicked"));
    }
}

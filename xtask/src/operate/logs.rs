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
use crate::operate::objects::Objects;

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
    /// How far back [default: 15, with --load, --request or --file a day]
    #[arg(long)]
    minutes: Option<u32>,
    /// Only lines about this table: its name or a part of it
    #[arg(long, value_name = "TEXT")]
    table: Option<String>,
    /// Only lines of this load: its id or the beginning of it
    #[arg(long, value_name = "ID")]
    load: Option<String>,
    /// Only what this invocation recorded, with its notifications: Lambda's request id, as `trace` prints it
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Only lines about a notification of this object: `s3://bucket/key`
    #[arg(long, value_name = "OBJECT", value_parser = Objects::parse)]
    file: Option<Objects>,
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
    let minutes = args.minutes.unwrap_or(if args.is_specific() { MINUTES_OF_LOAD } else { MINUTES });
    let mut since = now_millis() - i64::from(minutes) * 60_000;
    let mut seen = HashSet::new();
    loop {
        let mut lines = Vec::new();
        for function in Function::ALL {
            lines.extend(read(&client, &stack.name, function, since, args.request.as_deref()).await?);
        }
        lines.sort_by_key(|line| line.at_millis);
        for line in &lines {
            if seen.insert(line.id.clone()) && args.is_wanted(&line.message) {
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

async fn read(
    client: &Client,
    stack: &str,
    function: Function,
    since: i64,
    request: Option<&str>,
) -> Result<Vec<Line>> {
    let events = match request {
        Some(id) => logs::events_of_request(client, stack, function, since, id).await?,
        None => logs::events(client, stack, function, since).await?,
    };
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

impl LogsArgs {
    /// Whether a load, an invocation or a file is asked for, which may be older than a few minutes.
    const fn is_specific(&self) -> bool {
        self.load.is_some() || self.request.is_some() || self.file.is_some()
    }

    /// Whether a line is about everything that is asked for.
    fn is_wanted(&self, message: &str) -> bool {
        let line: Value = serde_json::from_str(message).unwrap_or_default();
        let begins = |field: &str, wanted: &Option<String>| {
            let is_it = |wanted: &String| {
                line[field].as_str().is_some_and(|id| !wanted.is_empty() && id.starts_with(wanted.as_str()))
            };
            wanted.as_ref().is_none_or(is_it)
        };
        self.table.as_deref().is_none_or(|text| message.contains(text))
            && begins("load_id", &self.load)
            && begins("request_id", &self.request)
            && self.file.as_ref().is_none_or(|file| names(&line, file))
    }
}

/// Whether a line names a message about this object. Lines have the key without its bucket.
fn names(line: &Value, file: &Objects) -> bool {
    let keys = line["messages"].as_object().into_iter().flatten().filter_map(|(_, keys)| keys.as_array());
    keys.flatten().filter_map(Value::as_str).any(|key| file.keys.matches(key))
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

    /// The command line, as far as it selects lines.
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: LogsArgs,
    }

    fn is_wanted(message: &str, options: &[&str]) -> bool {
        let line = <Line as clap::Parser>::try_parse_from(["logs"].iter().chain(options)).unwrap();
        line.args.is_wanted(message)
    }

    #[test]
    fn a_load_is_named_by_how_its_id_begins() {
        let message = r#"{"event":"prepared","table":"cluster:c:d:shop.sales","load_id":"bbf6496f"}"#;
        assert!(is_wanted(message, &[]) && is_wanted(message, &["--table", "shop.sales", "--load", "bbf6"]));
        assert!(!is_wanted(message, &["--table", "shop.orders", "--load", "bbf6"]));
        assert!(!is_wanted(message, &["--load", "6496"]) && !is_wanted(message, &["--load", ""]));
        assert!(!is_wanted("thread panicked bbf6", &["--load", "bbf6"]));
    }

    #[test]
    fn the_notification_of_a_file_is_found_by_its_key_and_by_the_request_that_recorded_it() {
        let message = r#"{"event":"recorded","request_id":"8f-1","messages":{"m-1":["a/1.csv"],"m-2":["a/2.csv"]}}"#;
        for options in [["--request", "8f-1"], ["--file", "s3://b/a/2.csv"], ["--file", "s3://b/a/"]] {
            assert!(is_wanted(message, &options), "{options:?}");
        }
        for options in [["--request", "8f-2"], ["--file", "s3://b/a/2"], ["--load", "8f-1"]] {
            assert!(!is_wanted(message, &options), "{options:?}");
        }
        assert!(!is_wanted(r#"{"event":"prepared"}"#, &["--file", "s3://b/a/"]));
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

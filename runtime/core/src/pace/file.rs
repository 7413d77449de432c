//! The shape of a warehouse's file, and what its values mean.

use jiff::tz::TimeZone;
use serde::Deserialize;

use super::{FRESHNESS_SECONDS_MAX, FRESHNESS_SECONDS_MIN, Freshness, Pace, Window};
use crate::problem::Problems;

/// The fields of the file.
pub const PACE_FIELDS: &[&str] = &[
    "$schema",
    "name",
    "freshness_seconds",
    "windows",
    "time_zone",
    "concurrent_loads_max",
    "base_rpu",
    "dollars_per_rpu_hour",
];

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// How a warehouse is used. In a tracker item it is part of the queue's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(title = "Pace of the Redshift loader"))]
pub struct PaceFile {
    /// This schema, for editors.
    #[serde(rename = "$schema")]
    _schema: Option<String>,
    /// The file's name; the loader adds it.
    #[serde(default)]
    pub(super) name: String,
    /// Maximum time from an object's creation to the commit of its rows, in seconds: 0 (loads start at once) or 300 to 86400.
    #[serde(default)]
    pub(super) freshness_seconds: u32,
    /// Hours with a different promise. The first window that matches applies.
    #[serde(default)]
    pub(super) windows: Vec<WindowPart>,
    /// Time zone of the windows, such as Europe/Berlin; if absent, UTC.
    pub(super) time_zone: Option<String>,
    /// Maximum number of concurrent loads of this warehouse; if absent, no limit.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub(super) concurrent_loads_max: Option<u32>,
    /// Base capacity of a workgroup in RPU, for estimating the cost of loading.
    base_rpu: Option<u32>,
    /// Price of an RPU hour in dollars, for the same estimate.
    dollars_per_rpu_hour: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct WindowPart {
    /// Days on which it begins: mon, tue, wed, thu, fri, sat, sun; if absent, every day.
    #[serde(default)]
    days: Vec<String>,
    /// Start, as in 08:00.
    from: String,
    /// End, as in 20:00 or 24:00; on the next day if it is not later than the start.
    to: String,
    /// As above; null: nothing starts in these hours.
    freshness_seconds: Option<u32>,
}

pub(super) fn build(part: &PaceFile, problems: &mut Problems) -> Option<Pace> {
    let before = problems.0.len();
    let freshness = freshness("freshness_seconds", Some(part.freshness_seconds), problems);
    let windows = part.windows.iter().enumerate().map(|(number, part)| window(number, part, problems)).collect();
    let time_zone = part.time_zone.clone().unwrap_or_else(|| "UTC".to_owned());
    if TimeZone::get(&time_zone).is_err() {
        problems.add(
            "time_zone",
            format!("`{time_zone}` is not a time zone: write an IANA name such as Europe/Berlin, or UTC"),
        );
    }
    if part.concurrent_loads_max == Some(0) {
        problems.add("concurrent_loads_max", "`0` would load nothing: give at least 1, or remove it");
    }
    let pace = Pace {
        name: part.name.clone(),
        freshness,
        windows,
        time_zone,
        concurrent_loads_max: part.concurrent_loads_max,
        microdollars_per_second: price(part, problems),
    };
    (problems.0.len() == before).then_some(pace)
}

/// Both fields or none: what a second costs is their product.
fn price(part: &PaceFile, problems: &mut Problems) -> Option<u64> {
    match (part.base_rpu, part.dollars_per_rpu_hour) {
        (None, None) => None,
        (Some(rpu @ 4..=1024), Some(dollars)) if dollars > 0.0 && dollars < 1000.0 =>
        {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most some hundred dollars")]
            Some((f64::from(rpu) * dollars * 1e6 / 3600.0).round() as u64)
        }
        (rpu, dollars) => {
            let given = format!("`{}` RPU at `{}` dollars", rpu.unwrap_or(0), dollars.unwrap_or(0.0));
            problems
                .add("base_rpu", format!("{given}: give the RPU (4 to 1024) and `dollars_per_rpu_hour`, or neither"));
            None
        }
    }
}

fn freshness(field: &str, seconds: Option<u32>, problems: &mut Problems) -> Freshness {
    match seconds {
        None => Freshness::Never,
        Some(0) => Freshness::AtOnce,
        Some(seconds) => {
            if !(FRESHNESS_SECONDS_MIN..=FRESHNESS_SECONDS_MAX).contains(&seconds) {
                problems.add(
                    field,
                    format!(
                        "`{seconds}` is not 0 (at once) and not from {FRESHNESS_SECONDS_MIN} to {FRESHNESS_SECONDS_MAX}: loads that \
                         wait for one another start at a sweep, and one of these may be lost"
                    ),
                );
            }
            Freshness::Within(seconds)
        }
    }
}

fn window(number: usize, part: &WindowPart, problems: &mut Problems) -> Window {
    let field = |name: &str| format!("windows[{number}].{name}");
    let mut days = Vec::new();
    for day in &part.days {
        match DAYS.iter().position(|name| name == day) {
            Some(at) => days.push(i8::try_from(at + 1).unwrap_or(1)),
            None => problems.add(field("days"), format!("`{day}` is not a day: write {}", DAYS.join(", "))),
        }
    }
    let mut minute = |name: &str, text: &str| {
        minute(text).unwrap_or_else(|| {
            problems.add(field(name), format!("`{text}` is not a time of day: write hours and minutes, as in 08:00"));
            0
        })
    };
    let (from_minute, to_minute) = (minute("from", &part.from), minute("to", &part.to));
    let freshness = freshness(&field("freshness_seconds"), part.freshness_seconds, problems);
    Window { days, from_minute, to_minute, freshness }
}

fn minute(text: &str) -> Option<i16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| text.parse::<i16>().ok().filter(|_| text.len() == 2);
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let is_time = (0..24).contains(&hours) && (0..60).contains(&minutes) || (hours, minutes) == (24, 0);
    is_time.then_some(hours * 60 + minutes)
}

/// The JSON Schema (draft 7) of a warehouse's file.
#[cfg(feature = "schema")]
pub fn schema() -> serde_json::Value {
    crate::schema::draft07::<PaceFile>()
}

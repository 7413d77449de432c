//! Folders that are loaded on a schedule: when, and which folder that is on a given day.
//!
//! A path says where the date goes. The date comes from the instant for which an invocation was scheduled, never from a clock, so an
//! invocation that is repeated a day later means the same folder.

use std::fmt::{self, Write as _};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::folder::SourceFolder;
use crate::ids::Millis;

/// Time zone of a schedule that does not name one.
pub const TIME_ZONE_DEFAULT: &str = "UTC";
/// Maximum number of schedules per queue. Our own limit: each is a resource of the stack.
pub const SCHEDULES_MAX: usize = 20;
/// Maximum length of a schedule in characters (`EventBridge` Scheduler, `CreateSchedule`: `ScheduleExpression`).
const SCHEDULE_CHARACTERS_MAX: usize = 256;

/// A folder that is loaded repeatedly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Schedule {
    /// `cron(…)` or `rate(…)`, as `EventBridge` Scheduler reads it.
    pub expression: String,
    /// The folder.
    pub path: DatedPath,
    /// IANA time zone of the schedule's hours and of the dates in the path.
    pub time_zone: String,
}

/// How often a source is compared with what was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceCheck {
    hours: u32,
}

/// Longest time between two checks, in hours: a week, far less than the ledger remembers.
const CHECK_HOURS_MAX: u32 = 7 * 24;
/// A check skips objects that are younger than this, in milliseconds: their events may still be on the way, or be retried.
const CHECK_GRACE_MILLIS: Millis = 15 * 60_000;
/// A check looks back at least this far, in hours.
const CHECK_BACK_HOURS_MIN: u32 = 24;
const HOUR_MILLIS: Millis = 3_600_000;
/// S3 publishes an inventory at most once a day, so a more frequent check would read the same one again.
const INVENTORY_HOURS_MIN: u32 = 24;
/// How much later than usual an inventory may be, in hours: the first one takes up to 48 (S3 user guide, "S3 Inventory").
const INVENTORY_LATE_HOURS: u32 = 24;

impl SourceCheck {
    /// Reads a duration such as `6 hours`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hours = |(number, unit): (&str, &str)| {
            let number = number.parse::<u32>().ok()?;
            match unit {
                "hour" | "hours" => Some(number),
                "day" | "days" => number.checked_mul(24),
                _ => None,
            }
        };
        let hours = text.split_once(' ').and_then(hours).filter(|hours| (1..=CHECK_HOURS_MAX).contains(hours));
        hours
            .map(|hours| Self { hours })
            .ok_or_else(|| format!("`{text}` is not from `1 hour` to `7 days`, as in `6 hours`"))
    }

    /// Refuses an interval that is shorter than an inventory's.
    pub fn check_inventory(self) -> Result<(), String> {
        if self.hours >= INVENTORY_HOURS_MIN {
            return Ok(());
        }
        Err(format!(
            "`{self}` is shorter than an inventory's interval: write `1 day` for a daily one, `7 days` for a weekly one"
        ))
    }

    /// The schedule in the syntax of `EventBridge` Scheduler.
    pub fn expression(self) -> String {
        format!("rate({self})")
    }

    /// The objects that a check covers, by the time they were last modified: from the first instant until before the second. It covers the
    /// previous check's time again, so that a failed check is made up for, but never goes back so far that the ledger could have forgotten
    /// an object.
    pub fn span(self, scheduled: Millis) -> (Millis, Millis) {
        let back = Millis::from(self.hours.saturating_mul(2).max(CHECK_BACK_HOURS_MIN)) * HOUR_MILLIS;
        (scheduled - CHECK_GRACE_MILLIS - back, scheduled - CHECK_GRACE_MILLIS)
    }

    /// The earliest start of an inventory that a check accepts. It allows two intervals, because S3 publishes an inventory hours after it
    /// has started it.
    pub fn inventory_since(self, scheduled: Millis) -> Millis {
        scheduled - Millis::from(self.hours * 2 + INVENTORY_LATE_HOURS) * HOUR_MILLIS
    }

    /// As [`Self::span`], for a check that reads an inventory started at `begun`. The inventory of the previous check is at most this much older
    /// unless that check failed, so no object falls between the two.
    pub fn inventory_span(self, begun: Millis, scheduled: Millis) -> (Millis, Millis) {
        let since = self.inventory_since(begun) - Millis::from(self.hours) * HOUR_MILLIS;
        (since, scheduled - CHECK_GRACE_MILLIS)
    }
}

impl fmt::Display for SourceCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.hours, if self.hours == 1 { "hour" } else { "hours" })
    }
}

/// `s3://bucket/prefix` with placeholders for dates, such as `{yesterday:%Y-%m-%d}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatedPath {
    /// The path as written.
    pub text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    Date(Moment, Vec<Letter>),
}

/// Which day or hour is meant, relative to the scheduled instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Moment {
    /// The day of that instant.
    Today,
    /// The previous calendar day.
    Yesterday,
    /// The hour of that instant.
    Hour,
    /// The hour before that instant.
    LastHour,
}

/// A part of a date format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Letter {
    Literal(char),
    Year,
    Month,
    Day,
    DayOfYear,
    Hour,
}

const RULE: &str = "write {today:…}, {yesterday:…}, {hour:…} or {last_hour:…} with %Y, %m, %d, %j and, for hours, %H, as in {yesterday:%Y-%m-%d}; \
                    a brace that is part of the name is doubled";

impl DatedPath {
    /// Parses a path. Dates are allowed in the prefix only, not in the bucket.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let ("{", Some((inside, after))) = (brace, after.split_once('}')) else {
                return Err(format!("`{text}` has a single `{brace}`: {RULE}"));
            };
            parts.push(Part::Text(std::mem::take(&mut literal)));
            parts.push(date(inside)?);
            rest = after;
        }
        literal.push_str(rest);
        parts.push(Part::Text(literal));
        let path = Self { text: text.to_owned(), parts };
        path.check_bucket()?;
        Ok(path)
    }

    /// The folder for an instant, in a known time zone. Ends in `/`, like every folder of a bulk request.
    pub fn resolve(&self, scheduled: Millis, time_zone: &str) -> Result<String, String> {
        let zone = TimeZone::get(time_zone).map_err(|_| unknown_zone(time_zone))?;
        let at = Timestamp::from_millisecond(scheduled).map_err(|error| error.to_string())?;
        let mut resolved = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => resolved.push_str(text),
                Part::Date(moment, letters) => {
                    let moment = moment.of(at, &zone).map_err(|error| error.to_string())?;
                    for letter in letters {
                        letter.write(moment, &mut resolved);
                    }
                }
            }
        }
        Ok(resolved)
    }

    /// Whether every folder that the path can produce is inside `folder`.
    pub fn is_inside(&self, folder: &SourceFolder) -> bool {
        SourceFolder::parse(self.fixed()).is_ok_and(|own| folder.holds(&own.bucket, &own.prefix))
    }

    /// The text before the first date.
    fn fixed(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            Some(Part::Date(..)) | None => "",
        }
    }

    fn check_bucket(&self) -> Result<(), String> {
        let is_cut = self.fixed().strip_prefix("s3://").is_some_and(|rest| !rest.contains('/'));
        if is_cut && self.parts.len() > 1 {
            return Err(format!(
                "`{}` has a date in the bucket's name: permissions need the name, so put dates after s3://bucket/",
                self.text
            ));
        }
        SourceFolder::parse(self.fixed()).map(drop)
    }
}

fn date(inside: &str) -> Result<Part, String> {
    let (name, format) = inside.split_once(':').ok_or_else(|| format!("`{{{inside}}}` has no format: {RULE}"))?;
    let moment = match name {
        "today" => Moment::Today,
        "yesterday" => Moment::Yesterday,
        "hour" => Moment::Hour,
        "last_hour" => Moment::LastHour,
        _ => return Err(format!("`{{{inside}}}`: `{name}` is not a day or an hour: {RULE}")),
    };
    let mut letters = Vec::new();
    let mut rest = format.chars();
    while let Some(letter) = rest.next() {
        letters.push(match (letter, letter == '%') {
            (_, false) => Letter::Literal(letter),
            (_, true) => match rest.next() {
                Some('Y') => Letter::Year,
                Some('m') => Letter::Month,
                Some('d') => Letter::Day,
                Some('j') => Letter::DayOfYear,
                Some('H') if matches!(moment, Moment::Hour | Moment::LastHour) => Letter::Hour,
                other => {
                    let code = other.map_or_else(|| "%".to_owned(), |code| format!("%{code}"));
                    return Err(format!("`{{{inside}}}`: `{code}` cannot be used here: {RULE}"));
                }
            },
        });
    }
    if letters.iter().all(|letter| matches!(letter, Letter::Literal(_))) {
        return Err(format!("`{{{inside}}}` has no date in it, so every day would be the same folder: {RULE}"));
    }
    Ok(Part::Date(moment, letters))
}

impl Moment {
    /// By the calendar and clock of the zone: a day may have 23 or 25 hours; an hour is always an hour.
    fn of(self, at: Timestamp, zone: &TimeZone) -> Result<DateTime, jiff::Error> {
        let at = match self {
            Self::Today | Self::Yesterday | Self::Hour => at,
            Self::LastHour => at.checked_sub(1.hour())?,
        };
        let local = zone.to_datetime(at);
        match self {
            Self::Yesterday => local.checked_sub(1.day()),
            Self::Today | Self::Hour | Self::LastHour => Ok(local),
        }
    }
}

impl Letter {
    fn write(self, at: DateTime, text: &mut String) {
        let _ = match self {
            Self::Literal(letter) => write!(text, "{letter}"),
            Self::Year => write!(text, "{:04}", at.year()),
            Self::Month => write!(text, "{:02}", at.month()),
            Self::Day => write!(text, "{:02}", at.day()),
            Self::DayOfYear => write!(text, "{:03}", at.day_of_year()),
            Self::Hour => write!(text, "{:02}", at.hour()),
        };
    }
}

/// Checks that a time zone exists, in the data that is part of the program.
pub fn check_zone(name: &str) -> Result<(), String> {
    TimeZone::get(name).map(drop).map_err(|_| unknown_zone(name))
}

fn unknown_zone(name: &str) -> String {
    format!("`{name}` is not a time zone: write an IANA name such as Europe/Berlin or UTC")
}

/// Checks the form of a schedule. Its fields are checked by `EventBridge` Scheduler.
pub fn check_expression(text: &str) -> Result<(), String> {
    let inside = |kind: &str| text.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
    let rule =
        "write cron(minutes hours day-of-month month day-of-week year), as in cron(0 4 * * ? *), or rate(6 hours)";
    let is_right = match (inside("cron"), inside("rate")) {
        (Some(fields), _) => is_cron(fields),
        (None, Some(rate)) => is_rate(rate),
        (None, None) => false,
    };
    if is_right && text.len() <= SCHEDULE_CHARACTERS_MAX {
        return Ok(());
    }
    Err(format!("`{text}` is not a schedule: {rule}; of day-of-month and day-of-week one is `?`"))
}

fn is_cron(fields: &str) -> bool {
    let fields: Vec<&str> = fields.split(' ').collect();
    let allowed = |field: &&str| {
        !field.is_empty()
            && field.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase() || b",-*?/#".contains(&b))
    };
    let n_open = [2, 4].into_iter().filter(|index| fields.get(*index) == Some(&"?")).count();
    fields.len() == 6 && fields.iter().all(allowed) && n_open == 1
}

fn is_rate(rate: &str) -> bool {
    let Some((number, unit)) = rate.split_once(' ') else { return false };
    let is_number = number.parse::<u32>().is_ok_and(|number| number > 0);
    is_number && ["minute", "minutes", "hour", "hours", "day", "days"].contains(&unit)
}

#[cfg(test)]
mod tests;

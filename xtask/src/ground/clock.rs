//! Times in the form that the tracker, the logs and change sets use, and for people.

use time::macros::format_description;
use time::{OffsetDateTime, Time};

/// Milliseconds since 1970, UTC.
pub fn now_millis() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// A UTC time for people: `2026-01-31 23:59:59`.
pub fn readable(millis: i64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok();
    at.and_then(|at| at.format(format).ok()).unwrap_or_default()
}

/// The start (UTC) of the month that contains this time.
pub fn month_began(millis: i64) -> i64 {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    let first = at.ok().and_then(|at| at.replace_day(1).ok()).map(|first| first.replace_time(Time::MIDNIGHT));
    first.map_or(millis, |first| first.unix_timestamp() * 1000)
}

/// Parses a period such as `90s`, `30m`, `24h` or `7d` to milliseconds.
pub fn period(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a period: write a number and s, m, h or d, for example 24h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(i64::from(number) * seconds * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_a_number_and_a_unit() {
        assert_eq!((period("90s"), period("24h"), period("7d")), (Ok(90_000), Ok(86_400_000), Ok(604_800_000)));
        for text in ["", "h", "24", "24 h", "-1h", "1y", "24ä"] {
            assert!(period(text).unwrap_err().contains(&format!("`{text}`")), "{text}");
        }
    }

    #[test]
    fn a_time_is_readable() {
        assert_eq!(readable(1_700_000_000_999), "2023-11-14 22:13:20");
    }

    #[test]
    fn a_month_begins_at_midnight_of_its_first_day() {
        assert_eq!(readable(month_began(1_700_000_000_999)), "2023-11-01 00:00:00");
        let began = month_began(1_700_000_000_999);
        assert_eq!((month_began(began), readable(month_began(began - 1))), (began, "2023-10-01 00:00:00".to_owned()));
    }
}

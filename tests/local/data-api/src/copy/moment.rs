//! Parses dates and times in loaded text, with DATEFORMAT and TIMEFORMAT.
//!
//! Without a format, only the standard one is accepted. `auto` tries a list of formats; anything else is a format string.

use std::fmt::Write;

use time::{Date, Month, OffsetDateTime};

/// A parsed date and time. Parts that the format does not have are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moment {
    year: i32,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    micros: u32,
    offset_minutes: Option<i32>,
    pm: Option<bool>,
}

const DATE_AUTO: &[&str] = &[
    "YYYY-MM-DD",
    "YYYY/MM/DD",
    "YYYY.MM.DD",
    "YYYYMMDD",
    "MM/DD/YYYY",
    "MM-DD-YYYY",
    "DD.MM.YYYY",
    "DD-MON-YYYY",
    "DD MON YYYY",
    "MON DD YYYY",
    "MON-DD-YYYY",
    "MON DD, YYYY",
    "YYYY-MON-DD",
];

const TIME_AUTO: &[&str] =
    &["THH:MI:SSOF", " HH:MI:SS OF", " HH:MI:SSOF", "THH:MI:SS", " HH:MI:SS", " HH:MI:SS AM", " HH:MI", "THH:MI", ""];

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The date in PostgreSQL's text format, or `None` if it does not match the format.
pub fn date(text: &str, format: Option<&str>) -> Option<String> {
    let moment = match format {
        None => moment(text, "YYYY-MM-DD").or_else(|| standard_timestamp(text)),
        Some(auto) if auto.eq_ignore_ascii_case("auto") => {
            DATE_AUTO.iter().find_map(|format| moment(text, format)).or_else(|| automatic(text))
        }
        Some(format) => moment(text, format),
    };
    moment.map(|moment| moment.date())
}

/// The timestamp in PostgreSQL's text format, with its offset if it has one.
pub fn timestamp(text: &str, format: Option<&str>) -> Option<String> {
    let found = match format.map(str::to_lowercase).as_deref() {
        None => standard_timestamp(text),
        Some("auto") => automatic(text),
        Some("epochsecs") => return epoch(text, 1_000_000),
        Some("epochmillisecs") => return epoch(text, 1_000),
        Some(_) => moment(text, format.unwrap_or_default()),
    };
    found.map(|moment| moment.timestamp())
}

fn standard_timestamp(text: &str) -> Option<Moment> {
    ["YYYY-MM-DD HH:MI:SS", "YYYY-MM-DD HH:MI:SSOF", "YYYY-MM-DD HH:MI:SS OF", "YYYY-MM-DD"]
        .iter()
        .find_map(|format| moment(text, format))
}

fn automatic(text: &str) -> Option<Moment> {
    DATE_AUTO
        .iter()
        .flat_map(|date| TIME_AUTO.iter().map(move |time| format!("{date}{time}")))
        .find_map(|format| moment(text, &format))
}

/// `micros` is the number of microseconds in a unit.
fn epoch(text: &str, micros: i128) -> Option<String> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let mut total = whole.parse::<i128>().ok()?.checked_mul(micros)?;
    if !fraction.is_empty() {
        let digits = u32::try_from(fraction.len()).ok()?;
        total += fraction.parse::<i128>().ok()? * micros / 10_i128.checked_pow(digits)?;
    }
    let at = OffsetDateTime::from_unix_timestamp_nanos(total.checked_mul(1000)?).ok()?;
    Some(format!("{} {:02}:{:02}:{:02}.{:06}", at.date(), at.hour(), at.minute(), at.second(), at.microsecond()))
}

/// Parses `text` with a format string of Redshift.
fn moment(text: &str, format: &str) -> Option<Moment> {
    let mut rest = text.trim();
    let mut pattern = format;
    let mut moment = Moment { month: 1, day: 1, ..Moment::default() };
    while !pattern.is_empty() {
        let upper = pattern.to_uppercase();
        let (token, length) = PARTS.iter().find(|(name, _)| upper.starts_with(name)).copied().unwrap_or(("", 0));
        if token.is_empty() {
            let expected = pattern.chars().next()?;
            rest = rest.strip_prefix(expected)?;
            pattern = &pattern[expected.len_utf8()..];
            continue;
        }
        pattern = &pattern[token.len()..];
        rest = moment.read(token, length, rest)?;
    }
    (rest.is_empty() && moment.is_valid()).then(|| moment.on_24_hours())
}

/// A part of a format and its maximum number of digits. Longer names come before their prefixes.
const PARTS: &[(&str, usize)] = &[
    ("YYYY", 4),
    ("YY", 2),
    ("MONTH", 0),
    ("MON", 0),
    ("MM", 2),
    ("DD", 2),
    ("HH24", 2),
    ("HH12", 2),
    ("HH", 2),
    ("MI", 2),
    ("SS", 2),
    ("MS", 3),
    ("US", 6),
    ("AM", 0),
    ("PM", 0),
    ("OF", 0),
    ("TZ", 0),
];

impl Moment {
    /// Parses one part at the beginning of the text and returns the rest.
    fn read<'a>(&mut self, token: &str, length: usize, text: &'a str) -> Option<&'a str> {
        match token {
            "MON" | "MONTH" => return self.read_month(text),
            "AM" | "PM" => {
                let half = text.get(..2)?.to_uppercase();
                self.pm = Some(match half.as_str() {
                    "AM" => false,
                    "PM" => true,
                    _ => return None,
                });
                return Some(&text[2..]);
            }
            "OF" | "TZ" => return self.read_offset(text),
            _ => {}
        }
        let digits = text.bytes().take(length).take_while(u8::is_ascii_digit).count();
        if digits == 0 || (token == "YYYY" && digits < 4) {
            return None;
        }
        let (number, rest) = text.split_at(digits);
        let value: u32 = number.parse().ok()?;
        let small = u8::try_from(value).ok();
        match token {
            "YYYY" => self.year = i32::try_from(value).ok()?,
            "YY" => self.year = i32::try_from(value).ok()? + if value < 70 { 2000 } else { 1900 },
            "MM" => self.month = small?,
            "DD" => self.day = small?,
            "MI" => self.minute = small?,
            "MS" => self.micros = value * 1000,
            "US" => self.micros = value * 10_u32.pow(u32::try_from(6 - digits).ok()?),
            "SS" => {
                self.second = small?;
                return self.read_fraction(rest);
            }
            _ => self.hour = small?,
        }
        Some(rest)
    }

    fn read_month<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
        let short = text.get(..3.min(letters))?.to_lowercase();
        let index = MONTHS.iter().position(|month| *month == short)?;
        self.month = u8::try_from(index + 1).ok()?;
        Some(&text[letters..])
    }

    /// Seconds can have a fraction in every format.
    fn read_fraction<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let Some(fraction) = text.strip_prefix('.') else { return Some(text) };
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Some(text);
        }
        let padded: String = fraction[..digits].chars().chain("000000".chars()).take(6).collect();
        self.micros = padded.parse().ok()?;
        Some(&fraction[digits..])
    }

    fn read_offset<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        for name in ["UTC", "GMT", "Z"] {
            if let Some(rest) = text.strip_prefix(name) {
                self.offset_minutes = Some(0);
                return Some(rest);
            }
        }
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let digits: String = text[1..].chars().filter(char::is_ascii_digit).collect();
        let all = text[1..].chars().all(|letter| letter.is_ascii_digit() || letter == ':');
        let hours: i32 = digits.get(..2)?.parse().ok()?;
        let minutes: i32 = digits.get(2..).filter(|rest| !rest.is_empty()).map_or(Some(0), |rest| rest.parse().ok())?;
        self.offset_minutes = Some(sign * (hours * 60 + minutes));
        (all && digits.len() <= 4 && hours < 16 && minutes < 60).then_some("")
    }

    fn is_valid(&self) -> bool {
        let date =
            Month::try_from(self.month).is_ok_and(|month| Date::from_calendar_date(self.year, month, self.day).is_ok());
        let hours = if self.pm.is_some() { 1..=12 } else { 0..=23 };
        date && hours.contains(&self.hour) && self.minute < 60 && self.second < 60
    }

    fn on_24_hours(self) -> Self {
        let hour = match self.pm {
            None => self.hour,
            Some(pm) => self.hour % 12 + if pm { 12 } else { 0 },
        };
        Self { hour, ..self }
    }

    fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    fn timestamp(&self) -> String {
        let mut text = format!("{} {:02}:{:02}:{:02}", self.date(), self.hour, self.minute, self.second);
        if self.micros > 0 {
            let _ = write!(text, ".{:06}", self.micros);
        }
        if let Some(offset) = self.offset_minutes {
            let sign = if offset < 0 { '-' } else { '+' };
            let _ = write!(text, "{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_format_only_the_standard_one_is_accepted() {
        assert_eq!(date("2026-02-28", None).as_deref(), Some("2026-02-28"));
        assert_eq!(date("2026-02-29", None), None);
        assert_eq!(date("28.02.2026", None), None);
        assert_eq!(timestamp("2026-01-02 03:04:05.678", None).as_deref(), Some("2026-01-02 03:04:05.678000"));
        assert_eq!(timestamp("2026-01-02T03:04:05Z", None), None);
    }

    #[test]
    fn auto_accepts_many_formats() {
        for text in ["2026-01-31", "20260131", "01/31/2026", "31-Jan-2026", "31.01.2026", "January 31, 2026"] {
            assert_eq!(date(text, Some("auto")).as_deref(), Some("2026-01-31"), "{text}");
        }
        assert_eq!(
            timestamp("2026-01-02T03:04:05.5+02:00", Some("auto")).as_deref(),
            Some("2026-01-02 03:04:05.500000+02:00")
        );
        assert_eq!(timestamp("01/02/2026 03:04:05 PM", Some("auto")).as_deref(), Some("2026-01-02 15:04:05"));
        assert_eq!(timestamp("yesterday", Some("auto")), None);
    }

    #[test]
    fn a_format_string_is_followed() {
        assert_eq!(date("31/01/26", Some("DD/MM/YY")).as_deref(), Some("2026-01-31"));
        assert_eq!(timestamp("02.01.2026 03:04", Some("DD.MM.YYYY HH24:MI")).as_deref(), Some("2026-01-02 03:04:00"));
        assert_eq!(timestamp("1767323045", Some("epochsecs")).as_deref(), Some("2026-01-02 03:04:05.000000"));
        assert_eq!(timestamp("1767323045678", Some("epochmillisecs")).as_deref(), Some("2026-01-02 03:04:05.678000"));
    }
}

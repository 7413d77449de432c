//! Dates at the boundaries of months, years and days, and what is refused.

use super::*;

#[test]
fn a_check_covers_the_previous_check_again() {
    for (text, expression, hours) in [
        ("1 hour", "rate(1 hour)", 24),
        ("6 hours", "rate(6 hours)", 24),
        ("2 days", "rate(48 hours)", 96),
        ("7 days", "rate(168 hours)", 336),
    ] {
        let check = SourceCheck::parse(text).unwrap();
        assert_eq!(check.expression(), expression);
        assert!(check_expression(expression).is_ok());
        let (since, until) = check.span(0);
        assert_eq!((until, (until - since) / HOUR_MILLIS), (-900_000, hours));
    }
    for text in ["", "6", "hours", "0 hours", "8 days", "169 hours", "-1 hours", "6 minutes", "6  hours"] {
        assert!(SourceCheck::parse(text).unwrap_err().contains("6 hours"), "{text}");
    }
}

/// The check before ran an interval earlier. Its inventory may have been as old as is allowed, and that of this one new.
#[test]
fn nothing_lies_between_the_inventories_of_two_checks() {
    for (text, days) in [("1 day", 1), ("7 days", 7)] {
        let check = SourceCheck::parse(text).unwrap();
        assert_eq!(check.check_inventory(), Ok(()));
        let oldest_before = check.inventory_since(-days * 24 * HOUR_MILLIS);
        assert_eq!(check.inventory_span(0, 0), (oldest_before, -900_000));
    }
    assert!(SourceCheck::parse("23 hours").unwrap().check_inventory().unwrap_err().contains("`1 day`"));
}

/// The folder that a path gives for an instant.
fn resolved(path: &str, at: &str, zone: &str) -> String {
    let at: Timestamp = at.parse().unwrap();
    DatedPath::parse(path).unwrap().resolve(at.as_millisecond(), zone).unwrap()
}

fn yesterday(at: &str, zone: &str) -> String {
    resolved("s3://bucket/dt={yesterday:%Y-%m-%d}/", at, zone).replace("s3://bucket/dt=", "").replace('/', "")
}

#[test]
fn yesterday_is_the_day_before_by_the_calendar() {
    assert_eq!(yesterday("2026-01-01T02:00:00Z", "UTC"), "2025-12-31");
    assert_eq!(yesterday("2026-03-01T02:00:00Z", "UTC"), "2026-02-28");
    assert_eq!(yesterday("2028-03-01T02:00:00Z", "UTC"), "2028-02-29", "a leap year");
    assert_eq!(yesterday("2100-03-01T02:00:00Z", "UTC"), "2100-02-28", "none");
    assert_eq!(yesterday("2026-05-01T00:00:00Z", "UTC"), "2026-04-30");
}

#[test]
fn the_day_is_that_of_the_time_zone() {
    assert_eq!(yesterday("2026-06-30T23:30:00Z", "UTC"), "2026-06-29");
    assert_eq!(yesterday("2026-06-30T23:30:00Z", "Europe/Berlin"), "2026-06-30");
    assert_eq!(yesterday("2026-06-30T23:30:00Z", "America/Los_Angeles"), "2026-06-29");
    assert_eq!(yesterday("2026-07-01T10:30:00Z", "Pacific/Kiritimati"), "2026-07-01");
}

/// In Berlin, 29 March 2026 has 23 hours, and 25 October has 25.
#[test]
fn yesterday_is_right_when_clocks_change() {
    for (at, expected) in [
        ("2026-03-29T22:30:00Z", "2026-03-29"), // half past midnight on the 30th; 24 hours before it was still the 28th there
        ("2026-03-28T23:30:00Z", "2026-03-28"),
        ("2026-10-25T23:30:00Z", "2026-10-25"),
        ("2026-10-25T22:30:00Z", "2026-10-24"), // half past eleven on the day that is an hour longer
    ] {
        assert_eq!(yesterday(at, "Europe/Berlin"), expected, "{at}");
    }
}

#[test]
fn hours_follow_local_time() {
    let path = "s3://bucket/{last_hour:%Y/%m/%d/%H}/";
    assert_eq!(resolved(path, "2026-01-01T00:05:00Z", "UTC"), "s3://bucket/2025/12/31/23/");
    // When clocks go forward there is no two o'clock; when they go back there are two.
    assert_eq!(resolved(path, "2026-03-29T01:05:00Z", "Europe/Berlin"), "s3://bucket/2026/03/29/01/");
    assert_eq!(resolved(path, "2026-10-25T01:05:00Z", "Europe/Berlin"), "s3://bucket/2026/10/25/02/");
    assert_eq!(resolved(path, "2026-10-25T02:05:00Z", "Europe/Berlin"), "s3://bucket/2026/10/25/02/");
    assert_eq!(resolved("s3://bucket/{hour:%H}", "2026-10-25T02:05:00Z", "Asia/Kolkata"), "s3://bucket/07");
}

#[test]
fn dates_are_written_as_the_format_says() {
    let path = "s3://bucket/y={today:%Y}/m={today:%m}/{today:%d}-{yesterday:%j}/{{x}}";
    assert_eq!(resolved(path, "2026-01-01T12:00:00Z", "UTC"), "s3://bucket/y=2026/m=01/01-365/{x}");
    assert_eq!(resolved("s3://bucket/all/", "2026-01-01T12:00:00Z", "UTC"), "s3://bucket/all/");
}

#[test]
fn a_repeated_invocation_means_the_same_folder() {
    let path = DatedPath::parse("s3://bucket/{yesterday:%Y%m%d}/").unwrap();
    assert_eq!(path.resolve(1_790_000_000_000, "UTC"), path.resolve(1_790_000_000_000, "UTC"));
    assert_eq!(path.resolve(1_790_000_000_000, "UTC").unwrap(), "s3://bucket/20260920/");
}

#[test]
fn an_invalid_date_is_refused_with_the_rule() {
    for (path, problem) in [
        ("s3://bucket/{yesterday}/", "`{yesterday}` has no format"),
        ("s3://bucket/{tomorrow:%Y}/", "`tomorrow` is not a day or an hour"),
        ("s3://bucket/{today:%Y-%M}/", "`%M` cannot be used here"),
        ("s3://bucket/{today:%H}/", "`%H` cannot be used here"),
        ("s3://bucket/{today:%}/", "`%` cannot be used here"),
        ("s3://bucket/{today:day}/", "has no date in it"),
        ("s3://bucket/{today:%Y/", "a single `{`"),
        ("s3://bucket/today:%Y}/", "a single `}`"),
        ("bucket/{today:%Y}/", "does not start with `s3://`"),
        ("s3://b-{today:%Y}/x/", "a date in the bucket's name"),
        ("{today:%Y}", "does not start with `s3://`"),
    ] {
        let found = DatedPath::parse(path).unwrap_err();
        assert!(found.contains(problem), "{path}: {found}");
    }
    assert!(DatedPath::parse("s3://bucket/{today:%Q}/").unwrap_err().contains("as in {yesterday:%Y-%m-%d}"));
}

#[test]
fn a_path_is_inside_a_folder_when_all_its_days_are() {
    let folder = SourceFolder::parse("s3://bucket/sales/").unwrap();
    let inside = |path: &str| DatedPath::parse(path).unwrap().is_inside(&folder);
    assert!(inside("s3://bucket/sales/{today:%Y}/") && inside("s3://bucket/sales/"));
    assert!(!inside("s3://bucket/{today:%Y}/sales/") && !inside("s3://other/sales/x/"));
}

#[test]
fn schedules_are_those_of_the_scheduler() {
    for right in [
        "cron(0 2 * * ? *)",
        "cron(0/15 8-18 ? * MON-FRI *)",
        "cron(0 2 L * ? 2026)",
        "rate(1 hour)",
        "rate(90 minutes)",
    ] {
        assert_eq!(check_expression(right), Ok(()), "{right}");
    }
    for wrong in [
        "0 2 * * *",
        "cron(0 2 * * *)",
        "cron(0 2 * * * *)",
        "cron(0 2 ? * ? *)",
        "cron(0  2 * * ? *)",
        "rate(0 hours)",
        "rate(1 week)",
        "at(2026-01-01T00:00:00)",
        "daily",
    ] {
        let found = check_expression(wrong).unwrap_err();
        assert!(found.contains("is not a schedule: write cron("), "{wrong}: {found}");
    }
    assert_eq!(check_zone("Europe/Berlin"), Ok(()));
    assert!(check_zone("Berlin").unwrap_err().contains("IANA name"));
}

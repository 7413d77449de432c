//! Converts values of text and JSON files to the types of their columns, or to load errors.

use super::moment;
use super::options::CopyOptions;
use super::target::{Column, Kind};

/// A load error, as in `sys_load_error_detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: i32,
    pub message: String,
}

impl Problem {
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Converts the value to PostgreSQL's text format; `None` is NULL.
pub fn value(text: Option<&str>, column: &Column, options: &CopyOptions) -> Result<Option<String>, Problem> {
    let converted = match text {
        Some(text) => present(text, column, options)?,
        None => None,
    };
    if converted.is_none() && column.required {
        return Err(Problem::new(1213, "Missing data for not-null field"));
    }
    Ok(converted)
}

fn present(text: &str, column: &Column, options: &CopyOptions) -> Result<Option<String>, Problem> {
    if let Kind::Varchar(length) | Kind::Char(length) = column.kind {
        return characters(text, column, length, options);
    }
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let date_format = options.date_format.as_deref();
    let time_format = options.time_format.as_deref();
    let invalid_moment = |code, message: &str| {
        if options.accept_any_date { Ok(None) } else { Err(Problem::new(code, message)) }
    };
    match &column.kind {
        Kind::SmallInt => integer::<i16>(text, "Short"),
        Kind::Integer => integer::<i32>(text, "Integer"),
        Kind::BigInt => integer::<i64>(text, "Long"),
        Kind::Real | Kind::Double => float(text),
        Kind::Decimal(precision, scale) => decimal(text, *precision, *scale, options.round),
        Kind::Boolean => boolean(text),
        Kind::Date => match moment::date(text, date_format) {
            None if text.len() < 10 && date_format.is_none() => {
                invalid_moment(1205, "Invalid Date Format - length must be 10 or more")
            }
            None => invalid_moment(1205, "Invalid date format or value [YYYY-MM-DD]"),
            found => Ok(found),
        },
        Kind::Timestamp | Kind::TimestampTz => match moment::timestamp(text, time_format) {
            None => invalid_moment(1206, "Invalid timestamp format or value [YYYY-MM-DD HH24:MI:SS]"),
            found => Ok(found),
        },
        Kind::Super => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(_) => Ok(Some(text.to_owned())),
            Err(error) => Err(Problem::new(1224, format!("Error parsing JSON value: {error}"))),
        },
        Kind::Varbyte if text.len().is_multiple_of(2) && text.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            Ok(Some(format!("\\x{text}")))
        }
        Kind::Varbyte => Err(Problem::new(1207, "Invalid hexadecimal digit for VARBYTE")),
        Kind::Varchar(_) | Kind::Char(_) | Kind::Other => Ok(Some(text.to_owned())),
    }
}

fn characters(text: &str, column: &Column, length: usize, options: &CopyOptions) -> Result<Option<String>, Problem> {
    let text = if options.trim_blanks { text.trim_end_matches(' ') } else { text };
    let blank = text.chars().all(char::is_whitespace);
    if (options.empty_as_null && text.is_empty()) || (options.blanks_as_null && blank) {
        return Ok(None);
    }
    if text.contains('\0') {
        return Err(Problem::new(1220, "Invalid null byte - field longer than 1 byte"));
    }
    let fixed = matches!(column.kind, Kind::Char(_));
    // Trailing blanks of a CHAR do not count.
    let counted = if fixed { text.trim_end_matches(' ') } else { text };
    if counted.len() <= length {
        return Ok(Some(counted.to_owned()));
    }
    if options.truncate_columns {
        let end = (0..=length).rev().find(|end| counted.is_char_boundary(*end)).unwrap_or_default();
        return Ok(Some(counted[..end].to_owned()));
    }
    Err(Problem::new(1204, if fixed { "Char length exceeds DDL length" } else { "String length exceeds DDL length" }))
}

fn integer<T: std::str::FromStr>(text: &str, kind: &str) -> Result<Option<String>, Problem> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let wrong = digits.char_indices().find(|(_, letter)| !letter.is_ascii_digit());
    if let Some((at, letter)) = wrong.or_else(|| digits.is_empty().then_some((0, ' '))) {
        let position = at + text.len() - digits.len();
        return Err(Problem::new(1207, format!("Invalid digit, Value '{letter}', Pos {position}, Type: {kind}")));
    }
    match text.parse::<T>() {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(_) => Err(Problem::new(1216, format!("Overflow, Value '{text}' is out of range for type {kind}"))),
    }
}

fn float(text: &str) -> Result<Option<String>, Problem> {
    let named = matches!(text.to_lowercase().as_str(), "nan" | "inf" | "infinity" | "-inf" | "-infinity");
    match text.parse::<f64>() {
        Ok(_) if named || text.bytes().any(|byte| byte.is_ascii_digit()) => Ok(Some(text.to_owned())),
        _ => Err(Problem::new(1207, format!("Invalid digit, Value '{}', Pos 0, Type: Double", first(text)))),
    }
}

/// Truncates the digits beyond the scale, or rounds them with ROUNDEC.
fn decimal(text: &str, precision: usize, scale: usize, round: bool) -> Result<Option<String>, Problem> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.contains(['e', 'E']) && digits.parse::<f64>().is_ok() {
        return Ok(Some(text.to_owned()));
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let wrong = whole.chars().chain(fraction.chars()).find(|letter| !letter.is_ascii_digit());
    if wrong.is_some() || (whole.is_empty() && fraction.is_empty()) {
        let letter = wrong.unwrap_or('.');
        let at = text.find(letter).unwrap_or_default();
        return Err(Problem::new(1207, format!("Invalid digit, Value '{letter}', Pos {at}, Type: Decimal")));
    }
    if whole.trim_start_matches('0').len() > precision - scale {
        return Err(Problem::new(
            1209,
            format!("Numeric data overflow: '{text}' does not fit DECIMAL({precision}, {scale})"),
        ));
    }
    if round || fraction.len() <= scale {
        return Ok(Some(text.to_owned()));
    }
    let cut = text.len() - (fraction.len() - scale);
    Ok(Some(text[..cut].to_owned()))
}

fn boolean(text: &str) -> Result<Option<String>, Problem> {
    match text.to_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Ok(Some("t".to_owned())),
        "f" | "false" | "n" | "no" | "0" => Ok(Some("f".to_owned())),
        _ => Err(Problem::new(1210, format!("Unknown boolean format: '{text}'"))),
    }
}

fn first(text: &str) -> char {
    text.chars().find(|letter| !letter.is_ascii_digit()).unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::command::parse;
    use crate::lexeme::lex;

    fn convert(kind: Kind, text: &str, options: &str) -> Result<Option<String>, String> {
        let sql = format!("COPY t FROM 's3://b/k' IAM_ROLE default CSV {options}");
        let options = parse(&lex(&sql).expect("tokens")).expect("accepted").options;
        let column = Column { name: "c".into(), kind, type_name: String::new(), required: false };
        value(Some(text), &column, &options).map_err(|problem| format!("{} {}", problem.code, problem.message))
    }

    fn check(kind: Kind, text: &str, expected: &str) {
        assert_eq!(convert(kind, text, ""), Ok(Some(expected.to_owned())));
    }

    fn refused(kind: Kind, text: &str, expected: &str) {
        assert_eq!(convert(kind, text, ""), Err(expected.to_owned()));
    }

    #[test]
    fn integers_are_checked_for_digits_and_range() {
        check(Kind::Integer, " -12 ", "-12");
        refused(Kind::Integer, "12a", "1207 Invalid digit, Value 'a', Pos 2, Type: Integer");
        refused(Kind::SmallInt, "40000", "1216 Overflow, Value '40000' is out of range for type Short");
    }

    #[test]
    fn decimals_are_truncated_or_rounded() {
        check(Kind::Decimal(5, 2), "-1.239", "-1.23");
        assert_eq!(convert(Kind::Decimal(5, 2), "1.239", "ROUNDEC"), Ok(Some("1.239".into())));
        refused(Kind::Decimal(5, 2), "1234.5", "1209 Numeric data overflow: '1234.5' does not fit DECIMAL(5, 2)");
        refused(Kind::Decimal(5, 2), "1,5", "1207 Invalid digit, Value ',', Pos 1, Type: Decimal");
    }

    #[test]
    fn lengths_are_counted_in_bytes() {
        check(Kind::Varchar(4), "üü", "üü");
        refused(Kind::Varchar(3), "üü", "1204 String length exceeds DDL length");
        refused(Kind::Char(3), "abcd", "1204 Char length exceeds DDL length");
        assert_eq!(convert(Kind::Varchar(3), "üü", "TRUNCATECOLUMNS"), Ok(Some("ü".into())));
    }

    #[test]
    fn empty_values_are_null_except_in_character_columns() {
        assert_eq!(convert(Kind::Integer, "", ""), Ok(None));
        assert_eq!(convert(Kind::Varchar(3), "", ""), Ok(Some(String::new())));
        assert_eq!(convert(Kind::Varchar(3), "", "EMPTYASNULL"), Ok(None));
        assert_eq!(convert(Kind::Varchar(3), "  ", "BLANKSASNULL"), Ok(None));
    }

    #[test]
    fn dates_and_booleans_are_converted() {
        refused(Kind::Date, "1.1.26", "1205 Invalid Date Format - length must be 10 or more");
        refused(
            Kind::Timestamp,
            "2026-01-01T00:00:00",
            "1206 Invalid timestamp format or value [YYYY-MM-DD HH24:MI:SS]",
        );
        assert_eq!(convert(Kind::Date, "00/00/0000", "ACCEPTANYDATE DATEFORMAT 'auto'"), Ok(None));
        check(Kind::Boolean, "Yes", "t");
        refused(Kind::Boolean, "maybe", "1210 Unknown boolean format: 'maybe'");
    }
}

//! The parameters of COPY: which there are, what argument each takes, and which formats accept it.
//!
//! The list is Redshift's; what the stand-in cannot execute is refused later, when the data is read.

use sqlparser::tokenizer::Token;

use crate::errors::SqlError;
use crate::lexeme::Lexeme;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    Delimited,
    Csv,
    FixedWidth,
    Json(JsonMapping),
    Avro,
    Parquet,
    Orc,
    Shapefile,
}

impl Format {
    pub fn is_columnar(&self) -> bool {
        matches!(self, Self::Parquet | Self::Orc)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Delimited => "DELIMITER",
            Self::Csv => "CSV",
            Self::FixedWidth => "FIXEDWIDTH",
            Self::Json(_) => "JSON",
            Self::Avro => "AVRO",
            Self::Parquet => "PARQUET",
            Self::Orc => "ORC",
            Self::Shapefile => "SHAPEFILE",
        }
    }
}

/// How the members of a JSON object find their columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonMapping {
    Auto,
    AutoIgnoreCase,
    NoShred,
    /// URL of a `JSONPaths` file.
    Paths(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Bzip2,
    Zstd,
    Lzop,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a parameter of COPY that is given or not")]
pub struct CopyOptions {
    pub format: Format,
    pub compression: Compression,
    pub manifest: bool,
    pub delimiter: String,
    pub quote: char,
    pub null_as: String,
    pub ignore_header: usize,
    pub date_format: Option<String>,
    pub time_format: Option<String>,
    pub accept_any_date: bool,
    /// The replacement of an invalid character; `None`: such a character is an error.
    pub accept_invalid: Option<char>,
    pub blanks_as_null: bool,
    pub empty_as_null: bool,
    pub escape: bool,
    pub explicit_ids: bool,
    pub fill_record: bool,
    pub ignore_blank_lines: bool,
    pub remove_quotes: bool,
    pub round: bool,
    pub trim_blanks: bool,
    pub truncate_columns: bool,
    /// The load fails when this many rows are bad.
    pub error_limit: usize,
    pub no_load: bool,
    /// As `IAM_ROLE` names it; `None`: credentials of another kind.
    pub role: Option<String>,
    /// Parameters that are known and that the stand-in cannot carry out.
    pub beyond: Vec<&'static str>,
}

/// What may follow the name of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Argument {
    Nothing,
    Text,
    OptionalText,
    Number,
    /// `ON`, `OFF`, `TRUE`, `FALSE`, `PRESET`, or nothing.
    Switch,
    Word,
    /// `default` or a string.
    Role,
}

const PARAMETERS: &[(&str, Argument)] = &[
    ("IAM_ROLE", Argument::Role),
    ("CREDENTIALS", Argument::Text),
    ("ACCESS_KEY_ID", Argument::Text),
    ("SECRET_ACCESS_KEY", Argument::Text),
    ("SESSION_TOKEN", Argument::Text),
    ("REGION", Argument::Text),
    ("MANIFEST", Argument::Nothing),
    ("ENCRYPTED", Argument::Nothing),
    ("MASTER_SYMMETRIC_KEY", Argument::Text),
    ("READRATIO", Argument::Number),
    ("CSV", Argument::Nothing),
    ("QUOTE", Argument::Text),
    ("DELIMITER", Argument::Text),
    ("FIXEDWIDTH", Argument::Text),
    ("SHAPEFILE", Argument::Nothing),
    ("AVRO", Argument::OptionalText),
    ("JSON", Argument::OptionalText),
    ("PARQUET", Argument::Nothing),
    ("ORC", Argument::Nothing),
    ("SERIALIZETOJSON", Argument::Nothing),
    ("BZIP2", Argument::Nothing),
    ("GZIP", Argument::Nothing),
    ("LZOP", Argument::Nothing),
    ("ZSTD", Argument::Nothing),
    ("ACCEPTANYDATE", Argument::Nothing),
    ("ACCEPTINVCHARS", Argument::OptionalText),
    ("BLANKSASNULL", Argument::Nothing),
    ("DATEFORMAT", Argument::Text),
    ("EMPTYASNULL", Argument::Nothing),
    ("ENCODING", Argument::Word),
    ("ESCAPE", Argument::Nothing),
    ("EXPLICIT_IDS", Argument::Nothing),
    ("FILLRECORD", Argument::Nothing),
    ("IGNOREBLANKLINES", Argument::Nothing),
    ("IGNOREHEADER", Argument::Number),
    ("NULL", Argument::Text),
    ("REMOVEQUOTES", Argument::Nothing),
    ("ROUNDEC", Argument::Nothing),
    ("TIMEFORMAT", Argument::Text),
    ("TRIMBLANKS", Argument::Nothing),
    ("TRUNCATECOLUMNS", Argument::Nothing),
    ("COMPROWS", Argument::Number),
    ("COMPUPDATE", Argument::Switch),
    ("IGNOREALLERRORS", Argument::Nothing),
    ("MAXERROR", Argument::Number),
    ("NOLOAD", Argument::Nothing),
    ("STATUPDATE", Argument::Switch),
];

/// All that a columnar format takes.
const COLUMNAR: &[&str] = &[
    "IAM_ROLE",
    "CREDENTIALS",
    "ACCESS_KEY_ID",
    "SECRET_ACCESS_KEY",
    "SESSION_TOKEN",
    "MANIFEST",
    "PARQUET",
    "ORC",
    "ACCEPTINVCHARS",
    "FILLRECORD",
    "STATUPDATE",
    "EXPLICIT_IDS",
    "SERIALIZETOJSON",
];

const NOT_WITH_CSV: &[&str] = &["FIXEDWIDTH", "REMOVEQUOTES", "ESCAPE"];
const NOT_WITH_FIXED_WIDTH: &[&str] = &["DELIMITER", "IGNOREHEADER"];
const NOT_WITH_JSON_OR_AVRO: &[&str] = &[
    "DELIMITER",
    "ESCAPE",
    "FILLRECORD",
    "FIXEDWIDTH",
    "IGNOREBLANKLINES",
    "NULL",
    "READRATIO",
    "REMOVEQUOTES",
    "QUOTE",
];

const FORMATS: &[&str] = &["CSV", "FIXEDWIDTH", "SHAPEFILE", "AVRO", "JSON", "PARQUET", "ORC"];

const MAXERROR_MAX: usize = 100_000;

/// A parameter as it was given.
#[derive(Debug)]
struct Given {
    name: &'static str,
    text: Option<String>,
    number: usize,
}

/// Reads everything after `FROM 'source'`.
pub fn parse(lexemes: &[Lexeme]) -> Result<CopyOptions, SqlError> {
    let mut given: Vec<Given> = Vec::new();
    let mut index = 0;
    while let Some(lexeme) = lexemes.get(index) {
        if lexeme.is("FORMAT") {
            index += 1 + usize::from(lexemes.get(index + 1).is_some_and(|next| next.is("AS")));
            if !lexemes.get(index).is_some_and(|format| format.is_any(FORMATS)) {
                return Err(unexpected(lexemes, index));
            }
            continue;
        }
        if lexeme.is("WITH") {
            index += 1;
            continue;
        }
        let Some((name, argument)) = PARAMETERS.iter().find(|(name, _)| lexeme.is(name)) else {
            return Err(lexeme.syntax_error());
        };
        if given.iter().any(|earlier| earlier.name == *name) {
            return Err(SqlError::new("conflicting or redundant options"));
        }
        let (parameter, used) = read(name, *argument, lexemes, index)?;
        given.push(parameter);
        index += used;
    }
    check(&given)?;
    collect(&given)
}

fn unexpected(lexemes: &[Lexeme], index: usize) -> SqlError {
    match lexemes.get(index) {
        Some(lexeme) => lexeme.syntax_error(),
        None => SqlError::syntax("", lexemes.last().map_or(1, |last| last.position)),
    }
}

/// The parameter at this index, and how many tokens it is.
fn read(name: &'static str, argument: Argument, lexemes: &[Lexeme], index: usize) -> Result<(Given, usize), SqlError> {
    let noise = usize::from(lexemes.get(index + 1).is_some_and(|next| next.is("AS")));
    let next = lexemes.get(index + 1 + noise);
    let literal = next.and_then(Lexeme::literal);
    let given = |text| Given { name, text, number: 0 };
    let used = 2 + noise;
    match argument {
        Argument::Nothing => Ok((given(None), 1)),
        Argument::Text | Argument::OptionalText | Argument::Role | Argument::Word if literal.is_some() => {
            Ok((given(literal), used))
        }
        Argument::OptionalText => Ok((given(None), 1 + noise)),
        Argument::Role if next.is_some_and(|next| next.is("default")) => Ok((given(Some("default".to_owned())), used)),
        Argument::Word if next.is_some_and(|next| next.word().is_some()) => {
            Ok((given(next.and_then(Lexeme::identifier)), used))
        }
        Argument::Number => match next.map(|next| &next.token) {
            Some(Token::Number(digits, _)) => {
                let number = digits.parse().map_err(|_| unexpected(lexemes, index + 1 + noise))?;
                Ok((Given { name, text: None, number }, used))
            }
            _ => Err(unexpected(lexemes, index + 1 + noise)),
        },
        Argument::Switch => {
            let switch = next.is_some_and(|next| next.is_any(&["ON", "OFF", "TRUE", "FALSE", "PRESET"]));
            Ok((given(None), if switch { used } else { 1 }))
        }
        Argument::Text | Argument::Role | Argument::Word => Err(unexpected(lexemes, index + 1 + noise)),
    }
}

/// What may not stand together.
fn check(given: &[Given]) -> Result<(), SqlError> {
    let has = |name: &str| given.iter().any(|parameter| parameter.name == name);
    let formats: Vec<_> = given.iter().map(|parameter| parameter.name).filter(|name| FORMATS.contains(name)).collect();
    if formats.len() > 1 {
        return Err(SqlError::new(format!("{} is not compatible with {}", formats[0], formats[1])));
    }
    let format = formats.first().copied().unwrap_or("DELIMITER");
    for name in given.iter().map(|parameter| parameter.name) {
        let shown = if name == "NULL" { "NULL AS" } else { name };
        match format {
            "PARQUET" | "ORC" if !COLUMNAR.contains(&name) => {
                return Err(SqlError::new(format!("{shown} argument is not supported for {format} based COPY")));
            }
            "CSV" if NOT_WITH_CSV.contains(&name) => return Err(incompatible(format, shown)),
            "FIXEDWIDTH" if NOT_WITH_FIXED_WIDTH.contains(&name) => return Err(incompatible(format, shown)),
            "JSON" | "AVRO" if NOT_WITH_JSON_OR_AVRO.contains(&name) => return Err(incompatible(format, shown)),
            _ => {}
        }
    }
    if has("QUOTE") && format != "CSV" {
        return Err(SqlError::new("QUOTE can only be used with CSV"));
    }
    if has("SERIALIZETOJSON") && !matches!(format, "PARQUET" | "ORC") {
        return Err(incompatible(format, "SERIALIZETOJSON"));
    }
    if has("MAXERROR") && has("IGNOREALLERRORS") {
        return Err(SqlError::new("MAXERROR and IGNOREALLERRORS cannot be specified together"));
    }
    let compressions = ["GZIP", "BZIP2", "LZOP", "ZSTD"].into_iter().filter(|name| has(name)).count();
    if compressions > 1 {
        return Err(SqlError::new("conflicting or redundant options"));
    }
    credentials(given)
}

fn incompatible(format: &str, option: &str) -> SqlError {
    SqlError::new(format!("{format} is not compatible with {option}"))
}

/// Redshift needs to know as whom it reads S3.
fn credentials(given: &[Given]) -> Result<(), SqlError> {
    let text =
        |name: &str| given.iter().find(|parameter| parameter.name == name).and_then(|found| found.text.as_deref());
    let valid = match (text("IAM_ROLE"), text("CREDENTIALS"), text("ACCESS_KEY_ID"), text("SECRET_ACCESS_KEY")) {
        (Some(role), None, None, None) => role.split(',').all(is_role),
        (None, Some(credentials), None, None) => {
            credentials.starts_with("aws_iam_role=") || credentials.starts_with("aws_access_key_id=")
        }
        (None, None, Some(_), Some(_)) => true,
        _ => false,
    };
    if valid {
        return Ok(());
    }
    Err(SqlError::new(
        "Invalid credentials. Must be of the format: credentials 'aws_iam_role=...' or \
         'aws_access_key_id=...;aws_secret_access_key=...[;token=...]'",
    ))
}

fn is_role(role: &str) -> bool {
    let role = role.trim();
    let arn = role.strip_prefix("arn:").and_then(|rest| rest.split_once(":iam::"));
    let named = arn.and_then(|(_, rest)| rest.split_once(":role/"));
    matches!(role, "default" | "SESSION")
        || named.is_some_and(|(account, name)| {
            account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit()) && !name.is_empty()
        })
}

fn collect(given: &[Given]) -> Result<CopyOptions, SqlError> {
    let find = |name: &str| given.iter().find(|parameter| parameter.name == name);
    let has = |name: &str| find(name).is_some();
    let text = |name: &str| find(name).and_then(|parameter| parameter.text.clone());
    let number = |name: &str| find(name).map_or(0, |parameter| parameter.number);
    let format = format(given);
    let maximum = number("MAXERROR");
    if maximum > MAXERROR_MAX {
        return Err(SqlError::new(format!("MAXERROR must be between 0 and {MAXERROR_MAX}")));
    }
    let compression = if has("GZIP") {
        Compression::Gzip
    } else if has("BZIP2") {
        Compression::Bzip2
    } else if has("ZSTD") {
        Compression::Zstd
    } else if has("LZOP") {
        Compression::Lzop
    } else {
        Compression::None
    };
    let default_delimiter = if format == Format::Csv { "," } else { "|" };
    let replacement = text("ACCEPTINVCHARS").and_then(|text| text.chars().next()).unwrap_or('?');
    let encoding = text("ENCODING").is_none_or(|name| matches!(name.to_lowercase().as_str(), "utf8" | "utf-8"));
    let mut beyond: Vec<_> =
        ["ENCRYPTED", "MASTER_SYMMETRIC_KEY", "READRATIO"].into_iter().filter(|name| has(name)).collect();
    if !encoding {
        beyond.push("ENCODING");
    }
    Ok(CopyOptions {
        compression,
        manifest: has("MANIFEST"),
        delimiter: text("DELIMITER").unwrap_or_else(|| default_delimiter.to_owned()),
        quote: text("QUOTE").and_then(|quote| quote.chars().next()).unwrap_or('"'),
        null_as: text("NULL").unwrap_or_else(|| "\\N".to_owned()),
        ignore_header: number("IGNOREHEADER"),
        date_format: text("DATEFORMAT"),
        time_format: text("TIMEFORMAT"),
        accept_any_date: has("ACCEPTANYDATE"),
        accept_invalid: has("ACCEPTINVCHARS").then_some(replacement),
        blanks_as_null: has("BLANKSASNULL"),
        empty_as_null: has("EMPTYASNULL"),
        escape: has("ESCAPE"),
        explicit_ids: has("EXPLICIT_IDS"),
        fill_record: has("FILLRECORD"),
        ignore_blank_lines: has("IGNOREBLANKLINES"),
        remove_quotes: has("REMOVEQUOTES"),
        round: has("ROUNDEC"),
        trim_blanks: has("TRIMBLANKS"),
        truncate_columns: has("TRUNCATECOLUMNS"),
        error_limit: if has("IGNOREALLERRORS") { usize::MAX } else { maximum.max(1) },
        no_load: has("NOLOAD"),
        role: text("IAM_ROLE"),
        beyond,
        format,
    })
}

fn format(given: &[Given]) -> Format {
    let Some(parameter) = given.iter().find(|parameter| FORMATS.contains(&parameter.name)) else {
        return Format::Delimited;
    };
    match parameter.name {
        "CSV" => Format::Csv,
        "FIXEDWIDTH" => Format::FixedWidth,
        "AVRO" => Format::Avro,
        "PARQUET" => Format::Parquet,
        "ORC" => Format::Orc,
        "JSON" => Format::Json(match parameter.text.as_deref() {
            None | Some("auto") => JsonMapping::Auto,
            Some("auto ignorecase") => JsonMapping::AutoIgnoreCase,
            Some("noshred") => JsonMapping::NoShred,
            Some(paths) => JsonMapping::Paths(paths.to_owned()),
        }),
        _ => Format::Shapefile,
    }
}

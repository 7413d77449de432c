//! The options of a COPY command.
//!
//! Options that the stand-in cannot execute are refused later, when the data is read.

mod parameters;
mod rules;

use crate::errors::SqlError;
use crate::lexeme::Lexeme;
use parameters::{FORMATS, Parameters};

const MAXERROR_MAX: usize = 100_000;

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

/// How the members of a JSON object are matched to columns.
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
    /// Replacement of invalid characters; if `None`, they are an error.
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
    /// Number of bad rows at which the load fails.
    pub error_limit: usize,
    pub no_load: bool,
    /// The argument of `IAM_ROLE`; `None` if other credentials are given.
    pub role: Option<String>,
    /// Valid options that the stand-in cannot execute.
    pub beyond: Vec<&'static str>,
}

/// Parses everything after `FROM 'source'`.
pub fn parse(lexemes: &[Lexeme]) -> Result<CopyOptions, SqlError> {
    let parameters = Parameters::read(lexemes)?;
    rules::check(&parameters)?;
    collect(&parameters)
}

fn collect(parameters: &Parameters) -> Result<CopyOptions, SqlError> {
    let has = |name| parameters.has(name);
    let text = |name| parameters.text(name).map(str::to_owned);
    let character = |name| parameters.text(name).and_then(|text| text.chars().next());
    let format = format(parameters);
    let default_delimiter = if format == Format::Csv { "," } else { "|" };
    Ok(CopyOptions {
        compression: compression(parameters),
        manifest: has("MANIFEST"),
        delimiter: parameters.text("DELIMITER").unwrap_or(default_delimiter).to_owned(),
        quote: character("QUOTE").unwrap_or('"'),
        null_as: parameters.text("NULL").unwrap_or("\\N").to_owned(),
        ignore_header: parameters.number("IGNOREHEADER"),
        date_format: text("DATEFORMAT"),
        time_format: text("TIMEFORMAT"),
        accept_any_date: has("ACCEPTANYDATE"),
        accept_invalid: has("ACCEPTINVCHARS").then(|| character("ACCEPTINVCHARS").unwrap_or('?')),
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
        error_limit: error_limit(parameters)?,
        no_load: has("NOLOAD"),
        role: text("IAM_ROLE"),
        beyond: beyond(parameters),
        format,
    })
}

fn format(parameters: &Parameters) -> Format {
    let Some(name) = parameters.names().find(|name| FORMATS.contains(name)) else {
        return Format::Delimited;
    };
    match name {
        "CSV" => Format::Csv,
        "FIXEDWIDTH" => Format::FixedWidth,
        "AVRO" => Format::Avro,
        "PARQUET" => Format::Parquet,
        "ORC" => Format::Orc,
        "JSON" => Format::Json(match parameters.text(name) {
            None | Some("auto") => JsonMapping::Auto,
            Some("auto ignorecase") => JsonMapping::AutoIgnoreCase,
            Some("noshred") => JsonMapping::NoShred,
            Some(paths) => JsonMapping::Paths(paths.to_owned()),
        }),
        _ => Format::Shapefile,
    }
}

fn compression(parameters: &Parameters) -> Compression {
    let named = [
        ("GZIP", Compression::Gzip),
        ("BZIP2", Compression::Bzip2),
        ("ZSTD", Compression::Zstd),
        ("LZOP", Compression::Lzop),
    ];
    let given = named.into_iter().find(|(name, _)| parameters.has(name));
    given.map_or(Compression::None, |(_, compression)| compression)
}

fn error_limit(parameters: &Parameters) -> Result<usize, SqlError> {
    let maximum = parameters.number("MAXERROR");
    if maximum > MAXERROR_MAX {
        return Err(SqlError::new(format!("MAXERROR must be between 0 and {MAXERROR_MAX}")));
    }
    Ok(if parameters.has("IGNOREALLERRORS") { usize::MAX } else { maximum.max(1) })
}

fn beyond(parameters: &Parameters) -> Vec<&'static str> {
    let unsupported = ["ENCRYPTED", "MASTER_SYMMETRIC_KEY", "READRATIO"];
    let mut beyond: Vec<_> = unsupported.into_iter().filter(|name| parameters.has(name)).collect();
    let is_utf8 = |name: &str| matches!(name.to_lowercase().as_str(), "utf8" | "utf-8");
    if parameters.text("ENCODING").is_some_and(|name| !is_utf8(name)) {
        beyond.push("ENCODING");
    }
    beyond
}

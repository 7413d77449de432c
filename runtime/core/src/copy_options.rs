//! COPY options: parsed, checked against the format, and rendered. Nothing unchecked reaches the warehouse.
//!
//! Sources: Redshift database guide, "COPY" and its parameter pages; for Parquet and ORC, "COPY from columnar data formats".

use std::fmt;

use self::tokens::{Token, Tokens, as_written, tokenize};

pub use self::naming::{HEAD_BYTES, Header, JsonPaths, Naming};

mod naming;
mod tokens;

/// Format of a load's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// Columnar; the default.
    Parquet,
    /// Optimized row columnar.
    Orc,
    /// Avro, `'auto'` or with a paths file.
    Avro,
    /// JSON, `'auto'` or with a paths file.
    Json,
    /// Comma separated with quoting.
    Csv,
    /// Delimited text without CSV quoting: what COPY reads if no format is named.
    Text,
}

impl FileFormat {
    /// Columnar files are matched to columns by position and accept few options.
    pub const fn is_columnar(self) -> bool {
        matches!(self, Self::Parquet | Self::Orc)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Parquet => "PARQUET",
            Self::Orc => "ORC",
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Csv => "CSV",
            Self::Text => "delimited text",
        }
    }
}

/// The checked COPY options of a load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CopyOptions {
    /// Format of the files.
    pub format: FileFormat,
    format_argument: Option<String>,
    rest: Vec<(&'static str, Option<Token>)>,
}

/// Why a list of COPY options is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// A quote is not closed.
    #[error("a quote is not closed in `{0}`: close it, and double a quote that belongs to the value")]
    OpenQuote(String),
    /// A backslash before the closing quote: Redshift reads `\'` as a quote inside the literal.
    #[error(
        "there is a backslash before a quote in `{0}`: double the backslash, or the quote where it belongs to the value"
    )]
    Backslash(String),
    /// Not an option of COPY.
    #[error("`{0}` is not a COPY option that can be used here: see docs/configuration.md for the list")]
    Unknown(String),
    /// The loader adds this option itself.
    #[error("`{0}` is set by the loader itself: remove it ({1})")]
    Reserved(String, &'static str),
    /// A value is missing.
    #[error("`{0}` needs {1} after it")]
    Argument(&'static str, &'static str),
    /// The option is not allowed with this format.
    #[error("`{option}` is not allowed with {format}: remove it, or name another format")]
    Format {
        /// The option, as the message shows it.
        option: &'static str,
        /// The format.
        format: &'static str,
    },
    /// An option is given twice, or two options exclude each other.
    #[error("`{0}` and `{1}` exclude each other: keep one")]
    Conflict(String, String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Argument {
    None,
    Text,
    /// A text, or nothing.
    OptionalText,
    /// A text, or the word `AUTO`.
    TextOrAuto,
    Number,
    Word(&'static [&'static str]),
    /// One of the words, or nothing.
    OptionalWord(&'static [&'static str]),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Everywhere,
    /// All but Parquet and ORC.
    Rows,
    /// CSV and delimited text.
    Lines,
    /// Delimited text only.
    TextOnly,
    /// CSV only.
    CsvOnly,
    /// Parquet and ORC only.
    ColumnarOnly,
}

struct Rule {
    name: &'static str,
    argument: Argument,
    allowed: Allowed,
    /// Options of one group exclude each other.
    group: &'static str,
}

const fn rule(name: &'static str, argument: Argument, allowed: Allowed) -> Rule {
    Rule { name, argument, allowed, group: name }
}

const fn compression(name: &'static str) -> Rule {
    Rule { name, argument: Argument::None, allowed: Allowed::Rows, group: "compression" }
}

const ON_OFF: &[&str] = &["ON", "OFF", "TRUE", "FALSE"];

const RULES: &[Rule] = &[
    rule("ACCEPTANYDATE", Argument::None, Allowed::Rows),
    rule("ACCEPTINVCHARS", Argument::OptionalText, Allowed::Everywhere),
    rule("BLANKSASNULL", Argument::None, Allowed::Rows),
    compression("BZIP2"),
    rule("COMPROWS", Argument::Number, Allowed::Rows),
    rule("COMPUPDATE", Argument::OptionalWord(&["ON", "OFF", "TRUE", "FALSE", "PRESET"]), Allowed::Rows),
    rule("DATEFORMAT", Argument::TextOrAuto, Allowed::Rows),
    rule("DELIMITER", Argument::Text, Allowed::Lines),
    rule("EMPTYASNULL", Argument::None, Allowed::Rows),
    rule("ENCODING", Argument::Word(&["UTF8", "UTF16", "UTF16LE", "UTF16BE", "ISO88591"]), Allowed::Rows),
    rule("ESCAPE", Argument::None, Allowed::TextOnly),
    rule("SERIALIZETOJSON", Argument::None, Allowed::ColumnarOnly),
    rule("EXPLICIT_IDS", Argument::None, Allowed::Everywhere),
    rule("FILLRECORD", Argument::None, Allowed::Everywhere),
    compression("GZIP"),
    Rule { name: "IGNOREALLERRORS", argument: Argument::None, allowed: Allowed::Rows, group: "MAXERROR" },
    rule("IGNOREBLANKLINES", Argument::None, Allowed::Lines),
    rule("IGNOREHEADER", Argument::Number, Allowed::Lines),
    compression("LZOP"),
    rule("MAXERROR", Argument::Number, Allowed::Rows),
    rule("NULL", Argument::Text, Allowed::Rows),
    rule("QUOTE", Argument::Text, Allowed::CsvOnly),
    rule("REGION", Argument::Text, Allowed::Rows),
    rule("REMOVEQUOTES", Argument::None, Allowed::TextOnly),
    rule("ROUNDEC", Argument::None, Allowed::Rows),
    rule("STATUPDATE", Argument::OptionalWord(ON_OFF), Allowed::Everywhere),
    rule("TIMEFORMAT", Argument::TextOrAuto, Allowed::Rows),
    rule("TRIMBLANKS", Argument::None, Allowed::Lines),
    rule("TRUNCATECOLUMNS", Argument::None, Allowed::Rows),
    compression("ZSTD"),
];

const RESERVED: &[(&str, &str)] = &[
    ("MANIFEST", "every load has a manifest"),
    ("IAM_ROLE", "it is `copy.role_arn`"),
    ("CREDENTIALS", "use `copy.role_arn`"),
    ("ACCESS_KEY_ID", "use `copy.role_arn`"),
    ("SECRET_ACCESS_KEY", "use `copy.role_arn`"),
    ("SESSION_TOKEN", "use `copy.role_arn`"),
    ("NOLOAD", "files would count as loaded without their rows"),
];

impl Default for CopyOptions {
    fn default() -> Self {
        Self { format: FileFormat::Parquet, format_argument: None, rest: Vec::new() }
    }
}

impl CopyOptions {
    /// Parses options separated by spaces. Without a format, it is Parquet, or delimited text if `DELIMITER` is given.
    pub fn parse(text: &str) -> Result<Self, OptionError> {
        let mut tokens = Tokens(tokenize(text)?.into());
        let mut format: Option<(FileFormat, Option<String>)> = None;
        let mut rest: Vec<(&'static Rule, Option<Token>)> = Vec::new();
        while let Some(token) = tokens.0.pop_front() {
            let Token::Word(word) = token else { return Err(OptionError::Unknown(token.to_string())) };
            let word = word.to_ascii_uppercase();
            if let Some((name, why)) = RESERVED.iter().find(|(name, _)| *name == word) {
                return Err(OptionError::Reserved((*name).to_owned(), why));
            }
            if let Some(found) = tokens.format(&word)? {
                if let Some((earlier, _)) = format {
                    return Err(OptionError::Conflict(earlier.name().into(), found.0.name().into()));
                }
                format = Some(found);
                continue;
            }
            let rule = RULES.iter().find(|rule| rule.name == word).ok_or(OptionError::Unknown(word))?;
            if let Some((other, _)) = rest.iter().find(|(other, _)| other.group == rule.group) {
                return Err(OptionError::Conflict(other.name.into(), rule.name.into()));
            }
            rest.push((rule, tokens.argument(rule)?));
        }
        let (format, format_argument) = format.unwrap_or_else(|| implied_format(&rest));
        if let Some((rule, _)) = rest.iter().find(|(rule, _)| !allows(rule.allowed, format)) {
            return Err(OptionError::Format { option: rule.name, format: format.name() });
        }
        let rest = rest.into_iter().map(|(rule, argument)| (rule.name, argument)).collect();
        Ok(Self { format, format_argument, rest })
    }

    /// Whether an option is given. `name` is in capitals.
    pub fn has(&self, name: &str) -> bool {
        self.rest.iter().any(|(option, _)| *option == name)
    }

    /// Region of the files' bucket as a literal, if it differs from the warehouse's.
    pub fn region(&self) -> Option<String> {
        let (_, region) = self.rest.iter().find(|(name, _)| *name == "REGION")?;
        region.as_ref().map(ToString::to_string)
    }
}

/// As in a COPY command.
impl fmt::Display for CopyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        match (self.format, &self.format_argument) {
            (FileFormat::Text, _) => {}
            (format, None) => words.push(format!("FORMAT AS {}", format.name())),
            (format, Some(argument)) => words.push(format!("FORMAT AS {} {}", format.name(), as_written(argument))),
        }
        for (name, argument) in &self.rest {
            words.push(argument.as_ref().map_or_else(|| (*name).to_owned(), |value| format!("{name} {value}")));
        }
        f.write_str(&words.join(" "))
    }
}

fn implied_format(rest: &[(&'static Rule, Option<Token>)]) -> (FileFormat, Option<String>) {
    let text = rest.iter().any(|(rule, _)| rule.name == "DELIMITER");
    (if text { FileFormat::Text } else { FileFormat::Parquet }, None)
}

const fn allows(allowed: Allowed, format: FileFormat) -> bool {
    match allowed {
        Allowed::Everywhere => true,
        Allowed::Rows => !format.is_columnar(),
        Allowed::Lines => matches!(format, FileFormat::Csv | FileFormat::Text),
        Allowed::TextOnly => matches!(format, FileFormat::Text),
        Allowed::ColumnarOnly => format.is_columnar(),
        Allowed::CsvOnly => matches!(format, FileFormat::Csv),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = CopyOptions::parse(text).map_or_else(|error| error.to_string(), |options| options.to_string());
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn nothing_means_parquet() {
        check("", "FORMAT AS PARQUET");
        check("format as parquet  fillrecord", "FORMAT AS PARQUET FILLRECORD");
        check("format as parquet serializetojson", "FORMAT AS PARQUET SERIALIZETOJSON");
    }

    #[test]
    fn csv_with_its_options() {
        check("CSV IGNOREHEADER 1 GZIP TIMEFORMAT auto", "FORMAT AS CSV IGNOREHEADER 1 GZIP TIMEFORMAT 'auto'");
        check("csv quote as '''' null as '\\N'", "FORMAT AS CSV QUOTE '''' NULL '\\N'");
    }

    #[test]
    fn backslashes_are_kept_and_do_not_escape_the_closing_quote() {
        check(r"DELIMITER '\t' NULL AS '\000'", r"DELIMITER '\t' NULL '\000'");
        check(r"DELIMITER '\\'", r"DELIMITER '\\'");
        for text in [r"DELIMITER '\'", r"DELIMITER '\'' NULL 'x'", r"DELIMITER '\\\'"] {
            assert_eq!(CopyOptions::parse(text), Err(OptionError::Backslash(text.to_owned())));
        }
    }

    #[test]
    fn a_delimiter_alone_means_delimited_text() {
        check("DELIMITER '|' ESCAPE", "DELIMITER '|' ESCAPE");
    }

    #[test]
    fn json_is_auto_unless_it_says_otherwise() {
        check("JSON", "FORMAT AS JSON 'auto'");
        check("FORMAT JSON AS 'auto ignorecase' GZIP", "FORMAT AS JSON 'auto ignorecase' GZIP");
    }

    #[test]
    fn columnar_formats_accept_few_options() {
        check("PARQUET MAXERROR 10", "`MAXERROR` is not allowed with PARQUET: remove it, or name another format");
        check("GZIP", "`GZIP` is not allowed with PARQUET: remove it, or name another format");
        check("FORMAT ORC REGION 'eu-west-1'", "`REGION` is not allowed with ORC: remove it, or name another format");
    }

    #[test]
    fn the_loaders_own_options_and_unknown_ones_are_refused() {
        check("CSV MANIFEST", "`MANIFEST` is set by the loader itself: remove it (every load has a manifest)");
        check(
            "CSV NOLOAD",
            "`NOLOAD` is set by the loader itself: remove it (files would count as loaded without their rows)",
        );
        check("CSV; DROP", "`CSV;` is not a COPY option that can be used here: see docs/configuration.md for the list");
        check(
            "CSV NULL 'x",
            "a quote is not closed in `CSV NULL 'x`: close it, and double a quote that belongs to the value",
        );
        check("CSV IGNOREHEADER x", "`IGNOREHEADER` needs a whole number after it");
        check("CSV GZIP ZSTD", "`GZIP` and `ZSTD` exclude each other: keep one");
        check("CSV PARQUET", "`CSV` and `PARQUET` exclude each other: keep one");
    }

    proptest::proptest! {
        #[test]
        fn never_a_panic_and_what_is_rendered_reads_back(text in "[A-Za-z0-9' ]{0,40}") {
            if let Ok(options) = CopyOptions::parse(&text) {
                proptest::prop_assert_eq!(CopyOptions::parse(&options.to_string()).map(|o| o.format), Ok(options.format));
            }
        }
    }
}

//! Parses the parameters of COPY.
//!
//! This file knows all of Redshift's parameters and their arguments; `rules` knows which of them can be combined.

use sqlparser::tokenizer::Token;

use crate::errors::SqlError;
use crate::lexeme::Lexeme;

/// The argument of a parameter.
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

/// The parameters that select a format.
pub const FORMATS: &[&str] = &["CSV", "FIXEDWIDTH", "SHAPEFILE", "AVRO", "JSON", "PARQUET", "ORC"];

/// A parameter with its argument.
#[derive(Debug)]
struct Given {
    name: &'static str,
    text: Option<String>,
    number: usize,
}

/// The parameters of a command, each at most once.
#[derive(Debug, Default)]
pub struct Parameters {
    given: Vec<Given>,
}

impl Parameters {
    /// Parses everything after `FROM 'source'`.
    pub fn read(lexemes: &[Lexeme]) -> Result<Self, SqlError> {
        let mut parameters = Self::default();
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
            if parameters.has(name) {
                return Err(SqlError::new("conflicting or redundant options"));
            }
            let (parameter, used) = read(name, *argument, lexemes, index)?;
            parameters.given.push(parameter);
            index += used;
        }
        Ok(parameters)
    }

    /// The parameters, in the order of the command.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.given.iter().map(|given| given.name)
    }

    /// Whether the parameter is given.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The text argument of the parameter, if it is given.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.find(name).and_then(|given| given.text.as_deref())
    }

    /// The number argument of the parameter, or 0 if it is not given.
    pub fn number(&self, name: &str) -> usize {
        self.find(name).map_or(0, |given| given.number)
    }

    fn find(&self, name: &str) -> Option<&Given> {
        self.given.iter().find(|given| given.name == name)
    }
}

fn unexpected(lexemes: &[Lexeme], index: usize) -> SqlError {
    match lexemes.get(index) {
        Some(lexeme) => lexeme.syntax_error(),
        None => SqlError::syntax("", lexemes.last().map_or(1, |last| last.position)),
    }
}

/// The parameter at this index, and its number of tokens.
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

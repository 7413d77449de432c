//! COPY options as tokens: words and texts, and the values that follow a word.

use std::collections::VecDeque;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use super::{Argument, FileFormat, OptionError, Rule};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Token {
    Word(String),
    Text(String),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => f.write_str(&as_written(text)),
        }
    }
}

pub(super) struct Tokens(pub VecDeque<Token>);

impl Tokens {
    /// `FORMAT [AS] name ['argument']`, or the name alone.
    pub fn format(&mut self, word: &str) -> Result<Option<(FileFormat, Option<String>)>, OptionError> {
        let explicit = word == "FORMAT";
        let name = if explicit {
            self.skip_as();
            match self.0.pop_front() {
                Some(Token::Word(name)) => name.to_ascii_uppercase(),
                _ => return Err(OptionError::Argument("FORMAT", "PARQUET, ORC, AVRO, JSON or CSV")),
            }
        } else {
            word.to_owned()
        };
        let format = match name.as_str() {
            "PARQUET" => FileFormat::Parquet,
            "ORC" => FileFormat::Orc,
            "AVRO" => FileFormat::Avro,
            "JSON" => FileFormat::Json,
            "CSV" => FileFormat::Csv,
            _ if explicit => return Err(OptionError::Unknown(format!("FORMAT {name}"))),
            _ => return Ok(None),
        };
        let argument = matches!(format, FileFormat::Json | FileFormat::Avro).then(|| {
            self.skip_as();
            self.take_text().unwrap_or_else(|| "auto".to_owned())
        });
        Ok(Some((format, argument)))
    }

    pub fn argument(&mut self, rule: &'static Rule) -> Result<Option<Token>, OptionError> {
        if rule.argument == Argument::None {
            return Ok(None);
        }
        self.skip_as();
        let next = self.0.front().cloned();
        let word = |words: &[&str]| match &next {
            Some(Token::Word(w)) if words.contains(&w.to_ascii_uppercase().as_str()) => {
                Some(Token::Word(w.to_ascii_uppercase()))
            }
            _ => None,
        };
        let text = matches!(next, Some(Token::Text(_))).then(|| next.clone()).flatten();
        let (found, optional, wanted) = match rule.argument {
            Argument::None => (None, true, ""),
            Argument::Text => (text, false, "a text in single quotes"),
            Argument::OptionalText => (text, true, ""),
            Argument::TextOrAuto => (text.or_else(|| word(&["AUTO"])), false, "a text in single quotes, or `auto`"),
            Argument::Number => {
                let number = |t: &Token| matches!(t, Token::Word(w) if w.parse::<u32>().is_ok());
                (next.clone().filter(number), false, "a whole number")
            }
            Argument::Word(words) => (word(words), false, "UTF8, UTF16, UTF16LE, UTF16BE or ISO88591"),
            Argument::OptionalWord(words) => (word(words), true, ""),
        };
        match found {
            Some(token) => {
                self.0.pop_front();
                let auto = Token::Word("AUTO".into());
                Ok(Some(if token == auto { Token::Text("auto".into()) } else { token }))
            }
            None if optional => Ok(None),
            None => Err(OptionError::Argument(rule.name, wanted)),
        }
    }

    fn skip_as(&mut self) {
        if matches!(self.0.front(), Some(Token::Word(word)) if word.eq_ignore_ascii_case("AS")) {
            self.0.pop_front();
        }
    }

    fn take_text(&mut self) -> Option<String> {
        if !matches!(self.0.front(), Some(Token::Text(_))) {
            return None;
        }
        match self.0.pop_front() {
            Some(Token::Text(text)) => Some(text),
            _ => None,
        }
    }
}

pub(super) fn tokenize(text: &str) -> Result<Vec<Token>, OptionError> {
    let mut tokens = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(&next) = characters.peek() {
        if next.is_whitespace() {
            characters.next();
        } else if next == '\'' {
            characters.next();
            tokens.push(Token::Text(quoted(text, &mut characters)?));
        } else {
            let mut word = String::new();
            while let Some(c) = characters.next_if(|c| !c.is_whitespace() && *c != '\'') {
                word.push(c);
            }
            tokens.push(Token::Word(word));
        }
    }
    Ok(tokens)
}

/// A literal as the user wrote it. Redshift interprets backslashes, as in `'\t'` or `'\\N'`.
pub(super) fn as_written(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The content of a literal: doubled quotes become one, and backslashes are kept.
fn quoted(text: &str, characters: &mut Peekable<Chars>) -> Result<String, OptionError> {
    let mut value = String::new();
    let mut after_backslash = false;
    while let Some(c) = characters.next() {
        if c == '\'' && after_backslash {
            return Err(OptionError::Backslash(text.to_owned()));
        }
        after_backslash = c == '\\' && !after_backslash;
        match c {
            '\'' if characters.next_if_eq(&'\'').is_some() => value.push('\''),
            '\'' => return Ok(value),
            other => value.push(other),
        }
    }
    Err(OptionError::OpenQuote(text.to_owned()))
}

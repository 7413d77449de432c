//! Redshift SQL as a list of tokens with their positions.
//!
//! White space and comments are dropped. [`render`] puts one space between tokens, which does not change the meaning.

use sqlparser::dialect::RedshiftSqlDialect;
use sqlparser::tokenizer::{Location, Token, Tokenizer, Word};

use crate::errors::SqlError;

/// A token, and the position of its first character, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lexeme {
    pub token: Token,
    pub position: usize,
}

impl Lexeme {
    /// Whether this is the unquoted word `keyword`, ignoring case.
    pub fn is(&self, keyword: &str) -> bool {
        self.word().is_some_and(|word| word.eq_ignore_ascii_case(keyword))
    }

    pub fn is_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }

    /// The unquoted word, as written.
    pub fn word(&self) -> Option<&str> {
        match &self.token {
            Token::Word(Word { value, quote_style: None, .. }) => Some(value),
            _ => None,
        }
    }

    /// The identifier in lower case: Redshift folds both quoted and unquoted ones.
    pub fn identifier(&self) -> Option<String> {
        match &self.token {
            Token::Word(Word { value, quote_style: None, .. }) => Some(value.to_lowercase()),
            Token::Word(Word { value, .. }) => Some(value.trim_matches('"').replace("\"\"", "\"").to_lowercase()),
            _ => None,
        }
    }

    /// The value of a string literal, with its escapes resolved.
    pub fn literal(&self) -> Option<String> {
        match &self.token {
            Token::SingleQuotedString(raw) => Some(unescape(raw)),
            _ => None,
        }
    }

    /// The token as error messages quote it.
    pub fn near(&self) -> String {
        self.token.to_string()
    }

    pub fn syntax_error(&self) -> SqlError {
        SqlError::syntax(&self.near(), self.position)
    }

    /// A token that is not in the text, at the position of this one.
    pub fn replaced_by(&self, token: Token) -> Self {
        Self { token, position: self.position }
    }
}

/// An unquoted word.
pub fn keyword(word: &str) -> Token {
    Token::make_word(word, None)
}

/// Quotes an identifier for PostgreSQL.
pub fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// Splits the text into tokens. A trailing semicolon is dropped; one in the middle is an error.
pub fn lex(sql: &str) -> Result<Vec<Lexeme>, SqlError> {
    let tokens = Tokenizer::new(&RedshiftSqlDialect {}, sql)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|error| SqlError::new(format!("syntax error: {}", error.message)))?;
    let starts = line_starts(sql);
    let mut lexemes: Vec<Lexeme> = tokens
        .into_iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
        .map(|token| Lexeme { position: position(&starts, token.span.start), token: token.token })
        .collect();
    while lexemes.last().is_some_and(|last| last.token == Token::SemiColon) {
        lexemes.pop();
    }
    if lexemes.iter().any(|lexeme| lexeme.token == Token::SemiColon) {
        return Err(SqlError::new("cannot insert multiple commands into a prepared statement"));
    }
    Ok(lexemes)
}

/// The SQL for PostgreSQL.
pub fn render(lexemes: &[Lexeme]) -> String {
    lexemes.iter().map(|lexeme| render_one(&lexeme.token)).collect::<Vec<_>>().join(" ")
}

fn render_one(token: &Token) -> String {
    match token {
        Token::Word(Word { value, quote_style: Some(_), .. }) => {
            quoted(&value.trim_matches('"').replace("\"\"", "\"").to_lowercase())
        }
        Token::Word(Word { value, .. }) if value.starts_with('#') => quoted(&value.to_lowercase()),
        // A backslash is an escape in every literal of Redshift, but in PostgreSQL only after an E.
        Token::SingleQuotedString(raw) if raw.contains('\\') => format!("E'{raw}'"),
        other => other.to_string(),
    }
}

fn unescape(raw: &str) -> String {
    let mut value = String::with_capacity(raw.len());
    let mut letters = raw.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek().copied()) {
            ('\'', Some('\'')) => {
                letters.next();
                value.push('\'');
            }
            ('\\', Some(digit @ '0'..='7')) => {
                let mut code = 0;
                let mut digits = 0;
                let mut next = Some(digit);
                while let Some(octal) = next.and_then(|letter| letter.to_digit(8)).filter(|_| digits < 3) {
                    code = code * 8 + octal;
                    digits += 1;
                    letters.next();
                    next = letters.peek().copied();
                }
                value.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            ('\\', Some(escaped)) => {
                letters.next();
                match escaped {
                    't' => value.push('\t'),
                    'n' => value.push('\n'),
                    'r' => value.push('\r'),
                    'b' => value.push('\u{8}'),
                    'f' => value.push('\u{c}'),
                    '\\' | '\'' => value.push(escaped),
                    // COPY's NULL marker `'\N'` keeps its backslash.
                    other => value.extend(['\\', other]),
                }
            }
            (plain, _) => value.push(plain),
        }
    }
    value
}

/// For each line, the number of characters before it.
fn line_starts(sql: &str) -> Vec<usize> {
    let mut starts = vec![0];
    starts.extend(sql.chars().enumerate().filter(|(_, letter)| *letter == '\n').map(|(index, _)| index + 1));
    starts
}

fn position(starts: &[usize], location: Location) -> usize {
    let line = usize::try_from(location.line).unwrap_or(1).saturating_sub(1);
    let column = usize::try_from(location.column).unwrap_or(1);
    starts.get(line).copied().unwrap_or_default() + column
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &str) {
        assert_eq!(render(&lex(sql).expect("tokens")), expected);
    }

    #[test]
    fn quoted_names_fold_to_lower_case() {
        check("SELECT \"Sales\".Id FROM [Sales]", "SELECT \"sales\" . Id FROM \"sales\"");
    }

    #[test]
    fn a_backslash_in_a_literal_is_an_escape() {
        check(r"SELECT 'a\\b', 'it''s'", r"SELECT E'a\\b' , 'it''s'");
        assert_eq!(
            lex(r"SELECT 'a\\b\'c''d\t\001\N'").expect("tokens")[1].literal().as_deref(),
            Some("a\\b'c'd\t\u{1}\\N")
        );
    }

    #[test]
    fn the_name_of_a_temporary_table_keeps_its_hash() {
        check("SELECT * FROM #Staging", "SELECT * FROM \"#staging\"");
    }

    #[test]
    fn comments_are_dropped_but_count_in_positions() {
        let lexemes = lex("-- first\nSELECT /* x */ ünknown, x").expect("tokens");
        assert_eq!(lexemes.iter().map(|lexeme| lexeme.position).collect::<Vec<_>>(), [10, 25, 32, 34]);
    }

    #[test]
    fn two_statements_in_one_text_are_refused() {
        check("SELECT 1;", "SELECT 1");
        assert_eq!(
            lex("SELECT 1; SELECT 2").expect_err("refused").text,
            "ERROR: cannot insert multiple commands into a prepared statement"
        );
    }
}

//! Reads records of CSV and delimited text.

use super::convert::Problem;
use super::options::{CopyOptions, Format};

/// A line of the input or, in CSV, a record of one or more lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Number of its first line, counted from 1.
    pub line: u64,
    pub raw: String,
    /// `None` is NULL.
    pub fields: Result<Vec<Option<String>>, Problem>,
}

/// Splits a file into records, without its header and, with IGNOREBLANKLINES, without blank lines.
pub fn records(bytes: &[u8], options: &CopyOptions) -> Vec<Record> {
    let text = decode(bytes, options);
    let mut reader = Reader { rest: text.as_str(), line: 1, options };
    let mut records = Vec::new();
    while let Some(record) = reader.next_record() {
        let header = usize::try_from(record.line).unwrap_or(usize::MAX) <= options.ignore_header;
        let ignored_blank = options.ignore_blank_lines && record.raw.trim().is_empty();
        if !header && !ignored_blank {
            records.push(record);
        }
    }
    records
}

/// Decodes UTF-8. Invalid bytes become U+FFFD, or ACCEPTINVCHARS's replacement; without it, the records with U+FFFD are errors.
fn decode(bytes: &[u8], options: &CopyOptions) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    match options.accept_invalid {
        Some(replacement) => text.replace('\u{fffd}', replacement.encode_utf8(&mut [0; 4])),
        None => text.to_owned(),
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: u64,
    options: &'a CopyOptions,
}

impl Reader<'_> {
    fn next_record(&mut self) -> Option<Record> {
        if self.rest.is_empty() {
            return None;
        }
        let line = self.line;
        let (fields, used) = match self.options.format {
            Format::Csv => self.csv(),
            _ => self.delimited(),
        };
        let raw = self.rest[..used].trim_end_matches(['\n', '\r']).to_owned();
        self.line += self.rest[..used].matches('\n').count().max(1) as u64;
        self.rest = &self.rest[used..];
        let fields = if raw.contains('\u{fffd}') {
            Err(Problem::new(1220, "String contains invalid or unsupported UTF8 codepoints."))
        } else {
            fields
        };
        Some(Record { line, raw, fields })
    }

    /// The fields of the next record, and its length in bytes.
    fn csv(&self) -> (Result<Vec<Option<String>>, Problem>, usize) {
        let (quote, delimiter) = (self.options.quote, self.options.delimiter.as_str());
        let mut fields = Vec::new();
        let mut at = 0;
        loop {
            let blank = self.rest[at..].len() - self.rest[at..].trim_start_matches(' ').len();
            if self.rest[at + blank..].starts_with(quote) {
                let Some((field, used)) = quoted(&self.rest[at + blank..], quote) else {
                    let problem = Problem::new(1214, "Delimited value missing end quote");
                    return (Err(problem), self.rest.len());
                };
                fields.push(self.null(field));
                at += blank + used;
                let spaces = self.rest[at..].len() - self.rest[at..].trim_start_matches(' ').len();
                at += spaces;
            } else {
                let end = end_of_field(&self.rest[at..], delimiter);
                fields.push(self.null(self.rest[at..at + end].to_owned()));
                at += end;
            }
            if let Some(after) = self.rest[at..].strip_prefix(delimiter) {
                at = self.rest.len() - after.len();
                continue;
            }
            let (line_end, used) = line_end(&self.rest[at..]);
            if line_end != 0 {
                let problem = Problem::new(1214, "Invalid quote formatting for CSV");
                return (Err(problem), at + used);
            }
            return (Ok(fields), at + used);
        }
    }

    fn delimited(&self) -> (Result<Vec<Option<String>>, Problem>, usize) {
        let options = self.options;
        let mut fields = Vec::new();
        let mut field = String::new();
        let mut at = 0;
        let mut enclosed: Option<char> = None;
        while let Some(letter) = self.rest[at..].chars().next() {
            let tail = &self.rest[at..];
            if options.escape && letter == '\\' {
                let escaped = tail[1..].chars().next();
                field.extend(escaped);
                at += 1 + escaped.map_or(0, char::len_utf8);
            } else if enclosed == Some(letter) {
                enclosed = None;
                at += 1;
            } else if options.remove_quotes && field.is_empty() && matches!(letter, '"' | '\'') && enclosed.is_none() {
                enclosed = Some(letter);
                at += 1;
            } else if enclosed.is_none() && tail.starts_with(&options.delimiter) {
                fields.push(self.null(std::mem::take(&mut field)));
                at += options.delimiter.len();
            } else if enclosed.is_none() && line_end(tail).0 == 0 {
                fields.push(self.null(field));
                return (Ok(fields), at + line_end(tail).1);
            } else {
                field.push(letter);
                at += letter.len_utf8();
            }
        }
        fields.push(self.null(field));
        (Ok(fields), at)
    }

    fn null(&self, field: String) -> Option<String> {
        // NULL AS '\0' stands for a zero byte.
        (field != self.options.null_as).then_some(field)
    }
}

/// The text between quotes, and its length in bytes with the quotes; `None` if the closing quote is missing.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut field = String::new();
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != quote {
            field.push(letter);
        } else if letters.peek().is_some_and(|(_, next)| *next == quote) {
            field.push(quote);
            letters.next();
        } else {
            return Some((field, at + quote.len_utf8()));
        }
    }
    None
}

fn end_of_field(text: &str, delimiter: &str) -> usize {
    let (line, _) = line_end(text);
    text[..line].find(delimiter).unwrap_or(line)
}

/// Where the text of the line ends, and where the next line begins.
fn line_end(text: &str) -> (usize, usize) {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => (at - 1, at + 1),
        Some(at) => (at, at + 1),
        None => (text.trim_end_matches('\r').len(), text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::command::parse;
    use crate::lexeme::lex;

    fn check(options: &str, bytes: &[u8], expected: &str) {
        let sql = format!("COPY t FROM 's3://b/k' IAM_ROLE default {options}");
        let options = parse(&lex(&sql).expect("tokens")).expect("accepted").options;
        let shown = |record: Record| match record.fields {
            Ok(fields) => {
                let fields: Vec<_> = fields.into_iter().map(|field| field.unwrap_or("∅".into())).collect();
                format!("{}:{}", record.line, fields.join("·"))
            }
            Err(problem) => format!("{}:{}", record.line, problem.message),
        };
        assert_eq!(records(bytes, &options).into_iter().map(shown).collect::<Vec<_>>().join(" / "), expected);
    }

    #[test]
    fn csv_fields_can_contain_quotes_and_line_feeds() {
        check("CSV", b"1,\"a,\"\"b\"\"\nc\",\r\n2,,x", "1:1·a,\"b\"\nc· / 3:2··x");
        check("CSV QUOTE '%' DELIMITER ';'", b"%a;b%;c\n", "1:a;b·c");
        check("CSV NULL AS 'nil'", b"nil,\"x\"\n", "1:∅·x");
    }

    #[test]
    fn csv_with_wrong_quotes_is_an_error() {
        check("CSV", b"1,\"a\n", "1:Delimited value missing end quote");
        check("CSV", b"\"a\"b,c\nd,e\n", "1:Invalid quote formatting for CSV / 2:d·e");
    }

    #[test]
    fn headers_and_blank_lines_are_skipped() {
        check("CSV IGNOREHEADER 1 IGNOREBLANKLINES", b"a,b\n1,2\n\n3,4\n", "2:1·2 / 4:3·4");
        check("CSV", b"1\n\n", "1:1 / 2:");
    }

    #[test]
    fn delimited_text_is_split() {
        check("", b"a|\\N|\n|x", "1:a·∅· / 2:·x");
        check("DELIMITER '\\t'", b"a\tb\n", "1:a·b");
        check("ESCAPE", b"a\\|b|c\\\nd\n", "1:a|b·c\nd");
        check("REMOVEQUOTES", b"\"a|b\"|'c'\n", "1:a|b·c");
        check("DELIMITER '|~|'", b"a|b|~|c\n", "1:a|b·c");
    }

    #[test]
    fn invalid_utf8() {
        check("CSV", b"a\xff,b\nc,d\n", "1:String contains invalid or unsupported UTF8 codepoints. / 2:c·d");
        check("CSV ACCEPTINVCHARS '^'", b"a\xff,b\n", "1:a^·b");
    }
}

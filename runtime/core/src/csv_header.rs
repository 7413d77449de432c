//! Reads the column names from the header of a CSV file.
//!
//! Fields are quoted as COPY's CSV format expects it (Redshift database guide, data format parameters: CSV, QUOTE, DELIMITER).

use crate::copy_options::HEAD_BYTES;
use crate::parquet::FileColumn;

/// Why a header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHeader {
    /// The first line does not end within the bytes that were read.
    #[error("its first line has more than {HEAD_BYTES} bytes, or does not end")]
    Endless,
    /// The first line is not UTF-8.
    #[error("its first line is not UTF-8")]
    NotText,
    /// A quote is not closed in the line, or text follows the closing quote.
    #[error("the quotes in its first line do not match")]
    Quotes,
    /// A column has no name, so the number of columns is uncertain: some writers end a line with a delimiter.
    #[error("a column of its first line has no name")]
    Unnamed,
}

/// Reads the first line. `head` is the beginning of the file; `is_whole` says whether it is the whole file.
pub fn columns(head: &[u8], is_whole: bool, delimiter: char, quote: char) -> Result<Vec<FileColumn>, NoHeader> {
    // A notification without a size counts as one byte, so a single byte may be only the beginning of the file.
    let is_whole = is_whole && head.len() > 1;
    let end = head.iter().position(|byte| *byte == b'\n' || *byte == b'\r');
    let end = end.or_else(|| is_whole.then_some(head.len())).ok_or(NoHeader::Endless)?;
    let line = std::str::from_utf8(&head[..end]).map_err(|_| NoHeader::NotText)?;
    let mut rest = Some(line.strip_prefix('\u{feff}').unwrap_or(line));
    let mut columns = Vec::new();
    while let Some(text) = rest {
        let (name, after) = if text.starts_with(quote) { quoted(text, quote)? } else { plain(text, delimiter) };
        rest = match after.strip_prefix(delimiter) {
            None if after.is_empty() => None,
            None => return Err(NoHeader::Quotes),
            after => after,
        };
        let name = name.trim().to_owned();
        if name.is_empty() {
            return Err(NoHeader::Unnamed);
        }
        columns.push(FileColumn::named(name));
    }
    Ok(columns)
}

fn plain(text: &str, delimiter: char) -> (String, &str) {
    let (name, after) = text.split_at(text.find(delimiter).unwrap_or(text.len()));
    (name.to_owned(), after)
}

/// Reads a field in quotes; a quote inside is doubled.
fn quoted(text: &str, quote: char) -> Result<(String, &str), NoHeader> {
    let mut name = String::new();
    let mut rest = &text[quote.len_utf8()..];
    loop {
        let (before, after) = rest.split_once(quote).ok_or(NoHeader::Quotes)?;
        name.push_str(before);
        match after.strip_prefix(quote) {
            Some(more) => {
                name.push(quote);
                rest = more;
            }
            None => return Ok((name, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(head: &str) -> Result<Vec<String>, NoHeader> {
        let columns = columns(head.as_bytes(), false, ',', '"')?;
        Ok(columns.into_iter().map(|column| column.name).collect())
    }

    #[test]
    fn names_with_quotes_spaces_and_a_mark_at_the_beginning() {
        assert_eq!(names("id,n\n1,2\n").unwrap(), ["id", "n"]);
        assert_eq!(names("\u{feff}id, \"n\" ,val\r\n"), Ok(vec!["id".into(), "\"n\"".into(), "val".into()]));
        assert_eq!(names("\"a,b\",\"c \"\"d\"\"\"\n").unwrap(), ["a,b", "c \"d\""]);
        let bars = columns("a|'b|c'".as_bytes(), true, '|', '\'').unwrap();
        assert_eq!(bars.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["a", "b|c"]);
    }

    #[test]
    fn an_uncertain_header_is_not_used() {
        assert_eq!(names("id,n"), Err(NoHeader::Endless));
        assert_eq!(names("id,n,\n"), Err(NoHeader::Unnamed));
        assert_eq!(names("\n1,2\n"), Err(NoHeader::Unnamed));
        assert_eq!(names("id,\"n\n"), Err(NoHeader::Quotes));
        assert_eq!(names("\"id\"x,n\n"), Err(NoHeader::Quotes));
        assert_eq!(columns(b"\xff\xfe\n", false, ',', '"'), Err(NoHeader::NotText));
    }

    #[test]
    fn a_file_whose_notification_has_no_size_is_not_compared_by_its_first_byte() {
        assert_eq!(columns(b"i", true, ',', '"'), Err(NoHeader::Endless));
        assert!(columns(b"id", true, ',', '"').is_ok());
    }

    proptest! {
        #[test]
        fn any_names_that_are_written_are_read(names in proptest::collection::vec("[^\r\n\u{feff}]{0,9}[a-z]", 1..9)) {
            let fields: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
            let line = format!("{}\r\n", fields.join(";"));
            let found = columns(line.as_bytes(), false, ';', '"').unwrap();
            let trimmed: Vec<&str> = names.iter().map(|name| name.trim()).collect();
            prop_assert_eq!(found.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), trimmed);
        }

        #[test]
        fn any_bytes_are_read_or_not(head in proptest::collection::vec(any::<u8>(), 0..99), is_whole: bool) {
            let _ = columns(&head, is_whole, ',', '"');
        }
    }
}

//! Parses a COPY command.

use sqlparser::tokenizer::Token;

use super::location::Location;
use super::options::{self, CopyOptions};
use crate::errors::SqlError;
use crate::lexeme::Lexeme;
use crate::table_name::{TableName, table_at};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyCommand {
    pub table: TableName,
    pub columns: Option<Vec<String>>,
    /// A manifest, or the prefix of the keys to load.
    pub from: Location,
    pub options: CopyOptions,
}

/// The execution of a COPY.
#[derive(Clone, Copy)]
pub struct Loading<'a> {
    pub command: &'a CopyCommand,
    pub table_id: u32,
    pub query: i64,
    pub region: &'a str,
}

/// Parses `COPY table [(column, …)] FROM 's3://…' parameters`.
pub fn parse(lexemes: &[Lexeme]) -> Result<CopyCommand, SqlError> {
    let table = table_at(lexemes, 1)?;
    let mut index = if table.schema.is_some() { 4 } else { 2 };
    let columns = match lexemes.get(index).map(|lexeme| &lexeme.token) {
        Some(Token::LParen) => {
            let (columns, used) = column_list(&lexemes[index..])?;
            index += used;
            Some(columns)
        }
        _ => None,
    };
    let missing = || SqlError::syntax("", lexemes.last().map_or(1, |last| last.position));
    let from = lexemes.get(index).ok_or_else(missing)?;
    if !from.is("FROM") {
        return Err(from.syntax_error());
    }
    let source = lexemes.get(index + 1).ok_or_else(missing)?;
    let url = source.literal().ok_or_else(|| source.syntax_error())?;
    let from = location(&url)?;
    Ok(CopyCommand { table, columns, from, options: options::parse(&lexemes[index + 2..])? })
}

fn column_list(lexemes: &[Lexeme]) -> Result<(Vec<String>, usize), SqlError> {
    let mut columns = Vec::new();
    for (index, lexeme) in lexemes.iter().enumerate().skip(1) {
        match (&lexeme.token, index % 2) {
            (Token::Comma, 0) => {}
            (Token::RParen, 0) => return Ok((columns, index + 1)),
            (_, 1) => columns.push(lexeme.identifier().ok_or_else(|| lexeme.syntax_error())?),
            _ => return Err(lexeme.syntax_error()),
        }
    }
    Err(SqlError::syntax("", lexemes.last().map_or(1, |last| last.position)))
}

fn location(url: &str) -> Result<Location, SqlError> {
    if let Some((scheme @ ("dynamodb" | "emr" | "ssh"), _)) = url.split_once("://") {
        return Err(SqlError::beyond_stand_in(&format!("COPY from {scheme}")));
    }
    Location::parse(url).ok_or_else(|| SqlError::new(format!("COPY source '{url}' is not a valid S3 path")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::options::{Compression, Format, JsonMapping};
    use crate::lexeme::lex;

    const ROLE: &str = "IAM_ROLE 'arn:aws:iam::123456789012:role/copy'";

    fn copy(options: &str) -> Result<CopyCommand, SqlError> {
        parse(&lex(&format!("COPY public.\"T\" (A, \"b\") FROM 's3://bucket/a/key' {options}")).expect("tokens"))
    }

    fn accepted(options: &str) -> CopyOptions {
        copy(&format!("{ROLE} {options}")).expect("accepted").options
    }

    fn refused(options: &str) -> String {
        copy(&format!("{ROLE} {options}")).expect_err("refused").text
    }

    #[test]
    fn table_columns_and_source_are_parsed() {
        let command = copy("IAM_ROLE default FORMAT AS PARQUET MANIFEST").expect("accepted");
        assert_eq!(command.table, TableName { schema: Some("public".into()), name: "t".into() });
        assert_eq!(command.columns, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(command.from.url(), "s3://bucket/a/key");
        assert!(command.options.manifest);
        assert_eq!(command.options.format, Format::Parquet);
    }

    #[test]
    fn a_format_can_be_named_in_several_ways() {
        assert_eq!(accepted("CSV").format, Format::Csv);
        assert_eq!(accepted("FORMAT CSV QUOTE AS '%' DELIMITER ';'").quote, '%');
        assert_eq!(accepted("FORMAT AS JSON 'auto ignorecase'").format, Format::Json(JsonMapping::AutoIgnoreCase));
        assert_eq!(
            accepted("JSON AS 's3://b/paths.json'").format,
            Format::Json(JsonMapping::Paths("s3://b/paths.json".into()))
        );
        assert_eq!(accepted("").format, Format::Delimited);
    }

    #[test]
    fn text_options_and_their_arguments_are_parsed() {
        let options = accepted(
            "DELIMITER AS '\\t' NULL AS '\\N' IGNOREHEADER 1 GZIP MAXERROR AS 10 COMPUPDATE OFF STATUPDATE ACCEPTINVCHARS '^'",
        );
        assert_eq!((options.delimiter.as_str(), options.null_as.as_str(), options.ignore_header), ("\t", "\\N", 1));
        assert_eq!(
            (options.compression, options.error_limit, options.accept_invalid),
            (Compression::Gzip, 10, Some('^'))
        );
    }

    #[test]
    fn an_unknown_option_is_a_syntax_error() {
        assert_eq!(refused("CSV SKIPHEADER"), "ERROR: syntax error at or near \"SKIPHEADER\"\n  Position: 102");
        assert_eq!(refused("FORMAT AS EXCEL"), "ERROR: syntax error at or near \"EXCEL\"\n  Position: 108");
    }

    #[test]
    fn columnar_formats_accept_few_options() {
        for option in ["MAXERROR 1", "REGION 'us-east-1'", "GZIP", "DELIMITER ','", "COMPUPDATE OFF", "TRUNCATECOLUMNS"]
        {
            let name = option.split(' ').next().expect("a name");
            assert_eq!(
                refused(&format!("PARQUET {option}")),
                format!("ERROR: {name} argument is not supported for PARQUET based COPY")
            );
        }
        assert!(accepted("ORC FILLRECORD STATUPDATE OFF ACCEPTINVCHARS MANIFEST EXPLICIT_IDS").fill_record);
    }

    #[test]
    fn options_that_exclude_each_other_are_refused() {
        assert_eq!(refused("CSV ESCAPE"), "ERROR: CSV is not compatible with ESCAPE");
        assert_eq!(refused("JSON 'auto' DELIMITER ','"), "ERROR: JSON is not compatible with DELIMITER");
        assert_eq!(refused("CSV PARQUET"), "ERROR: CSV is not compatible with PARQUET");
        assert_eq!(refused("GZIP GZIP"), "ERROR: conflicting or redundant options");
        assert_eq!(
            refused("MAXERROR 1 IGNOREALLERRORS"),
            "ERROR: MAXERROR and IGNOREALLERRORS cannot be specified together"
        );
    }

    #[test]
    fn the_number_of_bad_rows_has_a_limit() {
        assert_eq!(refused("MAXERROR 100001"), "ERROR: MAXERROR must be between 0 and 100000");
        let limits = ["", "MAXERROR 0", "MAXERROR 2", "IGNOREALLERRORS"].map(|options| accepted(options).error_limit);
        assert_eq!(limits, [1, 1, 2, usize::MAX]);
    }

    #[test]
    fn options_beyond_the_stand_in_are_remembered() {
        assert_eq!(accepted("CSV ENCODING 'UTF-8' ZSTD").beyond, Vec::<&str>::new());
        assert_eq!(accepted("ENCODING UTF16 READRATIO 5").beyond, ["READRATIO", "ENCODING"]);
    }

    #[test]
    fn a_valid_role_is_required() {
        assert!(copy("CSV").expect_err("refused").text.starts_with("ERROR: Invalid credentials."));
        assert!(copy("IAM_ROLE 'copy' CSV").expect_err("refused").text.starts_with("ERROR: Invalid credentials."));
        assert!(copy("IAM_ROLE default CSV").is_ok());
    }

    #[test]
    fn a_source_must_be_in_s3() {
        let lexemes = lex("COPY t FROM '/tmp/x' IAM_ROLE default").expect("tokens");
        assert_eq!(parse(&lexemes).expect_err("refused").text, "ERROR: COPY source '/tmp/x' is not a valid S3 path");
    }
}

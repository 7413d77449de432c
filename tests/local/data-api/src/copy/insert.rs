//! Loads the objects of a COPY into the table.
//!
//! All objects are read and all values converted before the first row is sent: except for MAXERROR, a load is all or nothing.

use std::io::Read;
use std::pin::pin;

use bytes::Bytes;
use futures::SinkExt;
use tokio_postgres::Client;

use super::command::{CopyCommand, Loading};
use super::convert;
use super::failure::{BadRow, CopyFailure};
use super::json::{self, Mapping};
use super::location::Location;
use super::options::{Compression, Format, JsonMapping};
use super::source::{self, Object};
use super::target::{self, Target};
use super::text::{self, Record};
use super::{convert::Problem, parquet};
use crate::aws::Aws;
use crate::errors::{NodeError, SqlError};
use crate::lexeme::quoted;

/// The result of a successful COPY.
#[derive(Debug)]
pub struct Loaded {
    pub rows: u64,
    /// Rows that were left out because of MAXERROR.
    pub bad: Vec<BadRow>,
}

/// Rows in PostgreSQL's text format.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    rows: u64,
    bad: Vec<BadRow>,
}

pub async fn run(client: &Client, aws: &Aws, loading: Loading<'_>) -> Result<Loaded, CopyFailure> {
    let Loading { command, query, .. } = loading;
    refuse_beyond(command)?;
    let target = target::find(client, command, loading.table_id, query).await?;
    let mapping = json_mapping(aws, loading, &target).await?;
    let objects = source::read(aws, command, query).await?;
    let mut lines = Vec::with_capacity(objects.len());
    for object in objects {
        lines.push(decode(object, loading, &target, mapping.as_ref()).await?);
    }
    let bad: Vec<BadRow> = lines.iter_mut().flat_map(|lines| std::mem::take(&mut lines.bad)).collect();
    if bad.len() >= command.options.error_limit {
        return Err(CopyFailure { error: SqlError::load_failed(&command.table.name), rows: bad });
    }
    if command.options.no_load {
        return Ok(Loaded { rows: 0, bad });
    }
    let rows = lines.iter().map(|lines| lines.rows).sum();
    send(client, loading, &target, lines).await?;
    Ok(Loaded { rows, bad })
}

fn refuse_beyond(command: &CopyCommand) -> Result<(), SqlError> {
    let options = &command.options;
    if let Some(option) = options.beyond.first() {
        return Err(SqlError::beyond_stand_in(&format!("COPY option {option}")));
    }
    if options.compression == Compression::Lzop {
        return Err(SqlError::beyond_stand_in("LZOP compression"));
    }
    match &options.format {
        Format::FixedWidth | Format::Avro | Format::Orc | Format::Shapefile => {
            Err(SqlError::beyond_stand_in(&format!("cannot decode {} files", options.format.name())))
        }
        Format::Delimited | Format::Csv | Format::Json(_) | Format::Parquet => Ok(()),
    }
}

async fn json_mapping(aws: &Aws, loading: Loading<'_>, target: &Target) -> Result<Option<Mapping>, SqlError> {
    let Format::Json(wanted) = &loading.command.options.format else { return Ok(None) };
    let file = match wanted {
        JsonMapping::Paths(url) => {
            let location = Location::parse(url)
                .ok_or_else(|| SqlError::new(format!("Invalid JSONPath format: '{url}' is not a valid S3 path")))?;
            let bytes = aws.get(&location.bucket, &location.key).await;
            Some(bytes.map_err(|failure| source::s3_error(&failure, &location, loading.query))?)
        }
        _ => None,
    };
    json::mapping(wanted, file.as_deref(), &target.columns).map(Some)
}

/// Decodes on a blocking thread, because it takes processor time.
async fn decode(
    object: Object,
    loading: Loading<'_>,
    target: &Target,
    mapping: Option<&Mapping>,
) -> Result<Lines, SqlError> {
    let (command, target, mapping) = (loading.command.clone(), target.clone(), mapping.cloned());
    let (table_id, query, region) = (loading.table_id, loading.query, loading.region.to_owned());
    let work = move || {
        let loading = Loading { command: &command, table_id, query, region: &region };
        lines(&object, loading, &target, mapping.as_ref())
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(SqlError::beyond_stand_in(&format!("the decoder stopped: {error}"))))
}

fn lines(object: &Object, loading: Loading<'_>, target: &Target, mapping: Option<&Mapping>) -> Result<Lines, SqlError> {
    let mut lines = Lines::default();
    let options = &loading.command.options;
    if options.format == Format::Parquet {
        parquet::rows(object, &loading, &target.columns, |row| lines.push(row))?;
        return Ok(lines);
    }
    let bytes = decompressed(object, loading)?;
    let records = match mapping {
        Some(mapping) => json::records(&bytes, mapping, &target.columns),
        None => text::records(&bytes, options),
    };
    for record in records {
        match converted(&record, object, loading, target) {
            Ok(row) => lines.push(&row),
            Err(bad) => lines.bad.push(*bad),
        }
    }
    Ok(lines)
}

fn decompressed(object: &Object, loading: Loading<'_>) -> Result<Bytes, SqlError> {
    let bytes = object.bytes.as_ref();
    let mut plain = Vec::new();
    let read = match loading.command.options.compression {
        Compression::None | Compression::Lzop => return Ok(object.bytes.clone()),
        Compression::Gzip => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut plain),
        Compression::Bzip2 => bzip2::read::MultiBzDecoder::new(bytes).read_to_end(&mut plain),
        Compression::Zstd => {
            zstd::stream::read::Decoder::new(bytes).and_then(|mut reader| reader.read_to_end(&mut plain))
        }
    };
    read.map_err(|error| {
        let context = format!("{error}, S3 key being read : {}", object.location.url());
        let detail = NodeError {
            error: "Error reading compressed file: invalid or truncated data",
            code: 9,
            context: &context,
            query: loading.query,
            location: "table_s3_scanner.cpp:412",
        };
        SqlError::node("failed to inflate with the given compression", detail)
    })?;
    Ok(plain.into())
}

/// The values of a record, or the reason why it cannot be loaded.
fn converted(
    record: &Record,
    object: &Object,
    loading: Loading<'_>,
    target: &Target,
) -> Result<Vec<Option<String>>, Box<BadRow>> {
    let options = &loading.command.options;
    let place = (record.line, record.raw.as_str());
    let bad = |problem| BadRow::of_record(target.table_id, &object.location, place, problem);
    let fields = record.fields.as_ref().map_err(|problem| Box::new(bad(problem.clone())))?;
    let (wanted, found) = (target.columns.len(), fields.len());
    if found > wanted {
        return Err(Box::new(bad(Problem::new(1202, "Extra column(s) found"))));
    }
    if found < wanted && !options.fill_record {
        return Err(Box::new(bad(Problem::new(1214, "Delimiter not found"))));
    }
    let value = |(index, column)| {
        let field = fields.get(index).and_then(Option::as_deref);
        convert::value(field, column, options).map_err(|problem| Box::new(bad(problem).with_value(column, field)))
    };
    target.columns.iter().enumerate().map(value).collect()
}

impl Lines {
    fn push(&mut self, row: &[Option<String>]) {
        for (index, value) in row.iter().enumerate() {
            if index > 0 {
                self.bytes.push(b'\t');
            }
            match value {
                None => self.bytes.extend(b"\\N"),
                Some(text) => text.bytes().for_each(|byte| match byte {
                    b'\\' => self.bytes.extend(b"\\\\"),
                    b'\n' => self.bytes.extend(b"\\n"),
                    b'\r' => self.bytes.extend(b"\\r"),
                    b'\t' => self.bytes.extend(b"\\t"),
                    plain => self.bytes.push(plain),
                }),
            }
        }
        self.bytes.push(b'\n');
        self.rows += 1;
    }
}

async fn send(client: &Client, loading: Loading<'_>, target: &Target, lines: Vec<Lines>) -> Result<(), SqlError> {
    let columns: Vec<String> = target.columns.iter().map(|column| quoted(&column.name)).collect();
    let table = loading.command.table.quoted();
    let sql = format!("COPY {table} ({}) FROM STDIN", columns.join(", "));
    let failed = |error: tokio_postgres::Error| SqlError::from_postgres(&error, &[], loading.query);
    let mut sink = pin!(client.copy_in::<_, Bytes>(&sql).await.map_err(failed)?);
    for lines in lines {
        sink.send(lines.bytes.into()).await.map_err(failed)?;
    }
    sink.as_mut().finish().await.map_err(failed)?;
    Ok(())
}

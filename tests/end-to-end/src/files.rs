//! Rows, and the files that hold them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;

/// A row as text, as the warehouse shows it; `None` is NULL.
pub type Row = Vec<Option<String>>;

/// Columns of the table that most tests load.
pub const COLUMNS: &str = "id integer, at timestamp, note varchar(64)";

/// A row of [`COLUMNS`].
pub fn row(id: i32, at: &str, note: &str) -> Row {
    vec![Some(id.to_string()), Some(at.to_owned()), Some(note.to_owned())]
}

/// `n` rows of [`COLUMNS`] with ids from `first` on.
pub fn rows(first: i32, n: i32, note: &str) -> Vec<Row> {
    (first..first + n).map(|id| row(id, "2026-01-31 10:00:00", &format!("{note}{id}"))).collect()
}

/// CSV without a header line; NULL is an empty field.
pub fn csv(rows: &[Row]) -> Vec<u8> {
    let mut text = String::new();
    for row in rows {
        let fields: Vec<&str> = row.iter().map(|field| field.as_deref().unwrap_or_default()).collect();
        writeln!(text, "{}", fields.join(",")).expect("a String takes everything");
    }
    text.into_bytes()
}

/// The same bytes, compressed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

/// Parquet with the columns `id`, `at` and `note`.
pub fn parquet(rows: &[Row]) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int32, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("note", DataType::Utf8, true),
    ]));
    let number = |row: &Row| row[0].as_deref().map(|id| id.parse::<i32>().expect("a number"));
    let micros = |row: &Row| row[1].as_deref().map(micros);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(number).collect::<Int32Array>()),
        Arc::new(rows.iter().map(micros).collect::<TimestampMicrosecondArray>()),
        Arc::new(rows.iter().map(|row| row[2].as_deref()).collect::<StringArray>()),
    ];
    let batch = RecordBatch::try_new(schema.clone(), columns).expect("columns of one length");
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).expect("a writer");
    writer.write(&batch).expect("memory takes everything");
    writer.into_inner().expect("memory takes everything")
}

/// Microseconds since 1970 of a time in January 2026, `2026-01-DD HH:MM:SS`.
fn micros(text: &str) -> i64 {
    const JANUARY_2026_SECONDS: i64 = 1_767_225_600;
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("a number");
    assert!(text.starts_with("2026-01-"), "`{text}`: write a time in January 2026");
    let days = number(8..10) - 1;
    (JANUARY_2026_SECONDS + days * 86_400 + number(11..13) * 3600 + number(14..16) * 60 + number(17..19)) * 1_000_000
}

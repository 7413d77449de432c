//! Creates Parquet files.

use std::sync::Arc;

use anyhow::Result;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;

/// A file with these columns in this order.
pub fn parquet(columns: Vec<(&str, ArrayRef)>) -> Result<Vec<u8>> {
    let columns = columns.into_iter().map(|(name, values)| (name, values, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns)?;
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(file)
}

/// Values for BIGINT.
pub fn numbers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// Values for VARCHAR.
pub fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Values for TIMESTAMP, in seconds since the beginning of 2026.
pub fn moments(seconds: &[i64]) -> ArrayRef {
    const YEAR_2026_SECONDS: i64 = 1_767_225_600;
    let micros = |seconds: &i64| (YEAR_2026_SECONDS + seconds) * 1_000_000;
    Arc::new(TimestampMicrosecondArray::from(seconds.iter().map(micros).collect::<Vec<_>>()))
}

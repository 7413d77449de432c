//! Reads rows of Parquet files: columns by position, exactly matching types, and Spectrum's error texts.

use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::schema::types::ColumnDescriptor;

use super::command::Loading;
use super::options::CopyOptions;
use super::source::Object;
use super::target::{Column, Kind};
use crate::errors::{NodeError, SqlError};

/// Calls `row` with the values of each row, in column order.
pub fn rows(
    object: &Object,
    loading: &Loading<'_>,
    columns: &[Column],
    mut row: impl FnMut(&[Option<String>]),
) -> Result<(), SqlError> {
    let file = File { object, loading };
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(object.bytes.clone(), options)
        .map_err(|error| file.broken(&error))?;
    let fields: Vec<DataType> = builder.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    file.check_count(columns.len(), fields.len())?;
    if fields.iter().any(DataType::is_nested) {
        return Err(SqlError::beyond_stand_in("nested Parquet columns"));
    }
    for (index, (column, found)) in columns.iter().zip(&fields).enumerate() {
        if !fits(&column.kind, found) {
            return Err(file.incompatible(column, &builder.parquet_schema().column(index)));
        }
    }
    let reader = builder.build().map_err(|error| file.broken(&error))?;
    for batch in reader {
        let batch = batch.map_err(|error| file.broken(&error))?;
        file.batch(&batch, columns, &mut row)?;
    }
    Ok(())
}

struct File<'a> {
    object: &'a Object,
    loading: &'a Loading<'a>,
}

impl File<'_> {
    fn options(&self) -> &CopyOptions {
        &self.loading.command.options
    }

    fn https(&self) -> String {
        self.object.location.https(self.loading.region)
    }

    fn error(&self, context: &str) -> SqlError {
        let query = self.loading.query;
        let detail =
            NodeError { error: "Spectrum Scan Error", code: 15007, context, query, location: "dory_util.cpp:1450" };
        SqlError::node("Spectrum Scan Error", detail)
    }

    fn broken(&self, error: &dyn std::fmt::Display) -> SqlError {
        let bytes = &self.object.bytes;
        if bytes.len() < 12 || !bytes.ends_with(b"PAR1") {
            return self.error(&format!("File '{}' has an invalid version number.", self.https()));
        }
        self.error(&format!("File '{}' has an invalid Parquet footer or page: {error}", self.https()))
    }

    fn check_count(&self, table: usize, data: usize) -> Result<(), SqlError> {
        if data == table || (data < table && self.options().fill_record) {
            return Ok(());
        }
        Err(self.error(&format!(
            "Unmatched number of columns between table and file. Table columns: {table}, Data columns: {data}, File name: {}",
            self.https()
        )))
    }

    fn incompatible(&self, column: &Column, found: &ColumnDescriptor) -> SqlError {
        let info = found.self_type().get_basic_info();
        let repetition =
            if info.has_repetition() { info.repetition().to_string().to_lowercase() } else { String::new() };
        self.error(&format!(
            "File '{}' has an incompatible Parquet schema for column '{}.{}'. Column type: {}, Parquet schema:\\n{repetition} {} {} [i:0 d:{} r:{}]",
            self.https(),
            self.object.location.url(),
            column.name,
            column.redshift_type(),
            found.physical_type().to_string().to_lowercase(),
            found.name(),
            found.max_def_level(),
            found.max_rep_level(),
        ))
    }

    fn batch(
        &self,
        batch: &RecordBatch,
        columns: &[Column],
        row: &mut impl FnMut(&[Option<String>]),
    ) -> Result<(), SqlError> {
        let format = FormatOptions::default();
        let formatters: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|array| ArrayFormatter::try_new(array, &format))
            .collect::<Result<_, _>>()
            .map_err(|error| self.broken(&error))?;
        let mut values: Vec<Option<String>> = vec![None; columns.len()];
        for index in 0..batch.num_rows() {
            for (position, column) in columns.iter().enumerate() {
                let array = batch.columns().get(position).filter(|array| !array.is_null(index));
                let text = array.map(|array| text(array, &formatters[position], index));
                values[position] = self.value(text, column)?;
            }
            row(&values);
        }
        Ok(())
    }

    fn value(&self, text: Option<Result<String, String>>, column: &Column) -> Result<Option<String>, SqlError> {
        let text = match text {
            Some(text) => text.map_err(|error| self.error(&format!("{error}, File name: {}", self.https())))?,
            None if column.required => {
                return Err(self.error(&format!(
                    "Cannot insert a NULL value into column {}, File name: {}",
                    column.name,
                    self.https()
                )));
            }
            None => return Ok(None),
        };
        match column.kind {
            Kind::Varchar(length) | Kind::Char(length) if text.len() > length => Err(self.error(&format!(
                "The length of the data column {} is longer than the length defined in the table. Table: {length}, Data: {}, File name: {}",
                column.name,
                text.len(),
                self.https()
            ))),
            Kind::SmallInt if text.parse::<i16>().is_err() => {
                Err(self.error(&format!("Value {text} overflows column {}, File name: {}", column.name, self.https())))
            }
            Kind::Varbyte => Ok(Some(format!("\\x{text}"))),
            _ => Ok(Some(text)),
        }
    }
}

/// The text of a value. Older writers do not mark byte arrays as text.
fn text(array: &dyn Array, formatter: &ArrayFormatter<'_>, index: usize) -> Result<String, String> {
    use arrow_array::cast::AsArray;
    if let Some(binary) = array.as_binary_opt::<i32>() {
        return match std::str::from_utf8(binary.value(index)) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Ok(formatter.value(index).to_string()),
        };
    }
    formatter.value(index).try_to_string().map_err(|error| error.to_string())
}

/// Spectrum does not convert types: INT64, for example, can only be loaded into BIGINT.
fn fits(kind: &Kind, found: &DataType) -> bool {
    match kind {
        Kind::SmallInt | Kind::Integer => {
            matches!(found, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16)
        }
        Kind::BigInt => matches!(found, DataType::Int64 | DataType::UInt64),
        Kind::Real => *found == DataType::Float32,
        Kind::Double => *found == DataType::Float64,
        Kind::Decimal(..) => found.is_decimal(),
        Kind::Boolean => *found == DataType::Boolean,
        Kind::Varchar(_) | Kind::Char(_) => matches!(found, DataType::Utf8 | DataType::Binary),
        Kind::Date => *found == DataType::Date32,
        Kind::Timestamp | Kind::TimestampTz => matches!(found, DataType::Timestamp(..)),
        Kind::Super => false,
        Kind::Varbyte => *found == DataType::Binary,
        Kind::Other => matches!(found, DataType::Time32(_) | DataType::Time64(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_not_widened() {
        assert!(fits(&Kind::Integer, &DataType::Int32));
        assert!(!fits(&Kind::BigInt, &DataType::Int32));
        assert!(!fits(&Kind::Integer, &DataType::Int64));
    }

    #[test]
    fn text_can_only_be_loaded_into_character_columns() {
        assert!(fits(&Kind::Varchar(9), &DataType::Utf8));
        assert!(!fits(&Kind::Date, &DataType::Utf8));
    }
}

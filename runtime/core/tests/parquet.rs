//! The columns and rows of files that the `parquet` crate writes, and of invalid footers.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use loader_core::parquet::{
    FileColumn, Meaning, Physical, SCHEMA_BYTES_MAX, TAIL_BYTES, Tail, Unreadable, rows, schema, tail,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

fn written(fields: Vec<Field>) -> Vec<u8> {
    let schema = Arc::new(Schema::new(fields));
    let mut file = Vec::new();
    let properties = WriterProperties::builder().set_created_by("x".repeat(40)).build();
    let mut writer = ArrowWriter::try_new(&mut file, schema.clone(), Some(properties)).unwrap();
    writer.write(&RecordBatch::new_empty(schema)).unwrap();
    writer.close().unwrap();
    file
}

fn read(file: &[u8]) -> Result<Vec<FileColumn>, Unreadable> {
    read_with(file, schema)
}

/// Reads a file as the loader does: its end, and then the beginning of a long footer.
fn read_with<T>(file: &[u8], read: fn(&[u8]) -> Result<T, Unreadable>) -> Result<T, Unreadable> {
    let part = |from: u64, length: u64| {
        let from = usize::try_from(from).unwrap();
        &file[from..from + usize::try_from(length).unwrap()]
    };
    let size = file.len() as u64;
    let from = size.saturating_sub(TAIL_BYTES);
    match tail(part(from, size - from), size)? {
        Tail::Footer(footer) => read(footer),
        Tail::Before { from, length } => read(part(from, length)),
    }
}

fn column(name: &str, physical: Physical, meaning: Meaning) -> FileColumn {
    FileColumn { name: name.to_owned(), physical, meaning }
}

/// A type, how it is stored, and what it means.
fn types() -> Vec<(DataType, Physical, Meaning)> {
    let element = Arc::new(Field::new("element", DataType::Int32, true));
    let pair = vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)];
    let pairs = Arc::new(Field::new("key_value", DataType::Struct(pair.into()), false));
    let deep = Fields::from(vec![Field::new("inner", DataType::List(element.clone()), true)]);
    vec![
        (DataType::Boolean, Physical::Boolean, Meaning::Plain),
        (DataType::Int8, Physical::Int32, Meaning::Plain),
        (DataType::Int16, Physical::Int32, Meaning::Plain),
        (DataType::Int32, Physical::Int32, Meaning::Plain),
        (DataType::UInt32, Physical::Int32, Meaning::Plain),
        (DataType::Int64, Physical::Int64, Meaning::Plain),
        (DataType::Float32, Physical::Float, Meaning::Plain),
        (DataType::Float64, Physical::Double, Meaning::Plain),
        (DataType::Utf8, Physical::Bytes, Meaning::Text),
        (DataType::LargeUtf8, Physical::Bytes, Meaning::Text),
        (DataType::Binary, Physical::Bytes, Meaning::Plain),
        (DataType::FixedSizeBinary(5), Physical::FixedBytes, Meaning::Plain),
        (DataType::Date32, Physical::Int32, Meaning::Date),
        (DataType::Time32(TimeUnit::Millisecond), Physical::Int32, Meaning::Time),
        (DataType::Time64(TimeUnit::Microsecond), Physical::Int64, Meaning::Time),
        (DataType::Timestamp(TimeUnit::Millisecond, None), Physical::Int64, Meaning::Timestamp),
        (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), Physical::Int64, Meaning::Timestamp),
        (DataType::Timestamp(TimeUnit::Nanosecond, None), Physical::Int64, Meaning::Timestamp),
        (DataType::Decimal128(9, 2), Physical::Int32, Meaning::Decimal(9, 2)),
        (DataType::Decimal128(18, 4), Physical::Int64, Meaning::Decimal(18, 4)),
        (DataType::Decimal128(38, 10), Physical::FixedBytes, Meaning::Decimal(38, 10)),
        (DataType::List(element), Physical::Nested, Meaning::Plain),
        (DataType::Struct(deep), Physical::Nested, Meaning::Plain),
        (DataType::Map(pairs, false), Physical::Nested, Meaning::Plain),
    ]
}

fn bare(columns: Vec<FileColumn>) -> Vec<(String, Physical)> {
    columns.into_iter().map(|column| (column.name, column.physical)).collect()
}

#[test]
fn every_type_is_read_as_it_was_written() {
    let fields =
        types().into_iter().enumerate().map(|(at, (kind, ..))| Field::new(format!("c{at}"), kind, at % 2 == 0));
    let found = read(&written(fields.collect())).unwrap();
    for (at, (kind, physical, meaning)) in types().into_iter().enumerate() {
        let meaning = if physical == Physical::Nested { found[at].meaning } else { meaning };
        assert_eq!(found[at], column(&format!("c{at}"), physical, meaning), "{kind}");
    }
    assert_eq!(found.len(), types().len());
}

#[test]
fn files_of_another_writer_are_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/weather");
    let (mut n_files, mut n_rows) = (0, 0);
    #[expect(clippy::disallowed_methods, reason = "the test's data are files")]
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            let columns = read(&std::fs::read(&path).unwrap()).unwrap();
            assert_eq!(columns.len(), 6, "{}: {columns:?}", path.display());
            n_rows += read_with(&std::fs::read(&path).unwrap(), rows).unwrap();
            n_files += 1;
        }
    }
    assert_eq!((n_files, n_rows), (8, 1461), "as tests/data/expected.json says");
}

#[test]
fn only_the_beginning_of_a_long_footer_is_read() {
    let names: Vec<String> = (0..1600).map(|number| format!("column_with_a_long_name_{number}")).collect();
    let file = written(names.iter().map(|name| Field::new(name, DataType::Int64, true)).collect());
    let size = file.len() as u64;
    let end = &file[file.len() - usize::try_from(TAIL_BYTES).unwrap()..];
    let Ok(Tail::Before { from, length }) = tail(end, size) else { panic!("{size} bytes are short") };
    assert!(length <= SCHEMA_BYTES_MAX && from + length < size);
    assert_eq!(read(&file).unwrap().len(), 1600);
    assert_eq!(read_with(&file, rows), Ok(0));
}

#[test]
fn a_file_that_is_not_parquet_is_unreadable() {
    let file = written(vec![Field::new("id", DataType::Int64, true)]);
    let encrypted = [&file[..file.len() - 4], b"PARE"].concat();
    for content in [&b""[..], b"PAR1", b"PAR1 this is not what it says PAR1", &encrypted, &file[..file.len() - 1]] {
        assert!(read(content).is_err(), "{content:?}");
    }
    assert_eq!(tail(&file[file.len() - 40..], 40), Err(Unreadable::NotParquet), "a footer longer than its file");
}

#[test]
fn deep_or_long_structures_are_refused() {
    let deep = [vec![0x1c_u8; 100_000], vec![0; 9]].concat();
    assert_eq!(schema(&deep), Err(Unreadable::Malformed));
    // A list that claims two billion elements, and one that claims more elements than are read.
    assert_eq!(schema(&[0x19, 0xf8, 0xff, 0xff, 0xff, 0xff, 0x07, 0]), Err(Unreadable::Short));
    assert_eq!(schema(&[0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0]), Err(Unreadable::TooMany));
}

/// Names and types that a writer may choose.
fn fields() -> impl Strategy<Value = Vec<(String, usize)>> {
    proptest::collection::vec(("[a-zA-Zäß_ .\"]{1,12}", 0..types().len()), 1..12)
}

proptest! {
    #[test]
    fn any_schema_is_read_as_it_was_written(fields in fields()) {
        let types = types();
        let named = |(at, (name, kind)): (usize, &(String, usize))| (format!("{name}{at}"), types[*kind].clone());
        let all: Vec<_> = fields.iter().enumerate().map(named).collect();
        let file = written(all.iter().map(|(name, (kind, ..))| Field::new(name, kind.clone(), true)).collect());
        let expected: Vec<_> = all.into_iter().map(|(name, (_, physical, _))| (name, physical)).collect();
        prop_assert_eq!(bare(read(&file).unwrap()), expected);
    }

    /// An incomplete footer causes neither a panic nor columns that do not exist.
    #[test]
    fn a_footer_that_breaks_off_says_nothing(fields in fields(), cut in 0.0..1.0_f64) {
        let types = types();
        let file = written(fields.iter().map(|(name, kind)| Field::new(name, types[*kind].0.clone(), true)).collect());
        let length = usize::try_from(u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().unwrap())).unwrap();
        let footer = &file[file.len() - 8 - length..file.len() - 8];
        let whole = schema(footer).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a footer")]
        let cut = (cut * footer.len() as f64) as usize;
        if let Ok(columns) = schema(&footer[..cut]) {
            prop_assert_eq!(columns, whole);
        }
    }

    #[test]
    fn bytes_that_changed_never_stop_the_reader(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let fields = types().into_iter().enumerate().map(|(at, (kind, ..))| Field::new(format!("c{at}"), kind, true));
        let mut file = written(fields.collect());
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _ = read(&file);
    }

    #[test]
    fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = schema(&bytes);
        let _ = rows(&bytes);
        let _ = tail(&bytes, bytes.len() as u64);
    }
}

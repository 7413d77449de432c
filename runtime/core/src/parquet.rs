//! Reads the columns and the number of rows of a Parquet file from its footer.
//!
//! Source: `README.md` (file layout) and `parquet.thrift` (`FileMetaData`, `SchemaElement`) of the Parquet format. Only the schema and the
//! row count are read, which every writer puts first in the footer. A deviation from the format is an error, never a guess.

use self::compact::{Reader, Value};

mod compact;

/// Bytes to read first, from the end of the file. They contain the whole footer of most files.
pub const TAIL_BYTES: u64 = 64 * 1024;
/// Maximum number of bytes to read of a longer footer, which begins with the schema. 1600 columns (Redshift's limit) take about 150 KB.
pub const SCHEMA_BYTES_MAX: u64 = 512 * 1024;
/// Maximum number of schema elements to read, including nested ones.
const ELEMENTS_MAX: usize = 20_000;
/// Bytes of the footer's length and the magic number at the end of the file.
const TRAILER_BYTES: usize = 8;
/// The first and last bytes of a file. A file with an encrypted footer ends differently.
const MAGIC: &[u8] = b"PAR1";

/// A top-level column of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileColumn {
    /// Name, as the file spells it.
    pub name: String,
    /// How values are stored.
    pub physical: Physical,
    /// What values mean.
    pub meaning: Meaning,
}

impl FileColumn {
    /// A column of a file that contains names but no types.
    pub fn named(name: String) -> Self {
        Self { name, physical: Physical::Written, meaning: Meaning::Plain }
    }
}

/// How values are stored (`parquet.thrift`, `Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Physical {
    /// One bit.
    Boolean,
    /// 32 bits, signed.
    Int32,
    /// 96 bits: a timestamp from older writers.
    Int64,
    /// 96 bits: a timestamp of older writers.
    Int96,
    /// 32 bits, IEEE.
    Float,
    /// 64 bits, IEEE.
    Double,
    /// Bytes of variable length.
    Bytes,
    /// Bytes of fixed length.
    FixedBytes,
    /// Characters, whatever kind of value they represent: a field of a CSV file.
    Written,
    /// Several values: a list, a map or a structure.
    Nested,
}

/// What values mean (`parquet.thrift`, `LogicalType`, and `ConvertedType` of older writers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meaning {
    /// Not specified, or irrelevant for the type of a column.
    Plain,
    /// Characters.
    Text,
    /// Days.
    Date,
    /// A time of day.
    Time,
    /// A point in time.
    Timestamp,
    /// A decimal number: its precision and scale in digits.
    Decimal(u8, u8),
}

/// Why a footer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The file does not end like a Parquet file.
    #[error("its end is not that of a Parquet file")]
    NotParquet,
    /// The footer is incomplete.
    #[error("its footer breaks off")]
    Short,
    /// The footer does not follow the format.
    #[error("its footer is not what the format says")]
    Malformed,
    /// The schema has too many elements.
    #[error("it has more than {ELEMENTS_MAX} columns")]
    TooMany,
}

/// What the end of a file contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail<'a> {
    /// The footer; read it with [`schema`] or [`rows`].
    Footer(&'a [u8]),
    /// Only a part of the footer. Read this range of the file, the beginning of the footer.
    Before {
        /// First byte of the range.
        from: u64,
        /// Number of bytes.
        length: u64,
    },
}

/// Reads the end of a file of this size: its last [`TAIL_BYTES`], or the whole file if it is shorter.
pub fn tail(tail: &[u8], size_bytes: u64) -> Result<Tail<'_>, Unreadable> {
    let at = tail.len().checked_sub(TRAILER_BYTES).ok_or(Unreadable::NotParquet)?;
    let (content, trailer) = tail.split_at(at);
    let (length, magic) = trailer.split_at(4);
    if magic != MAGIC {
        return Err(Unreadable::NotParquet);
    }
    let length = length.iter().rev().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
    let before = length + (TRAILER_BYTES + MAGIC.len()) as u64;
    if before > size_bytes {
        return Err(Unreadable::NotParquet);
    }
    match usize::try_from(length).ok().and_then(|length| content.len().checked_sub(length)) {
        Some(start) => Ok(Tail::Footer(&content[start..])),
        None => {
            Ok(Tail::Before { from: size_bytes - length - TRAILER_BYTES as u64, length: length.min(SCHEMA_BYTES_MAX) })
        }
    }
}

/// Reads the columns from the beginning of a footer.
pub fn schema(footer: &[u8]) -> Result<Vec<FileColumn>, Unreadable> {
    const SCHEMA: i16 = 2;
    let mut reader = Reader::new(footer);
    let mut last = 0;
    while let Some((id, kind)) = reader.field(last)? {
        if id == SCHEMA {
            let n_elements = reader.list_of_structures(kind)?;
            return columns(&mut reader, n_elements);
        }
        reader.skip(kind)?;
        last = id;
    }
    Err(Unreadable::Malformed)
}

/// Reads the number of rows from the beginning of a footer.
pub fn rows(footer: &[u8]) -> Result<u64, Unreadable> {
    const ROWS: i16 = 3;
    let mut reader = Reader::new(footer);
    let mut last = 0;
    while let Some((id, kind)) = reader.field(last)? {
        match reader.value(kind)? {
            Value::Number(rows) if id == ROWS => return u64::try_from(rows).map_err(|_| Unreadable::Malformed),
            Value::Number(_) | Value::Bytes(_) | Value::Other => last = id,
        }
    }
    Err(Unreadable::Malformed)
}

/// Elements are listed depth first: the root, then each of its fields, followed by that field's own fields.
fn columns(reader: &mut Reader, n_elements: usize) -> Result<Vec<FileColumn>, Unreadable> {
    if n_elements > ELEMENTS_MAX {
        return Err(Unreadable::TooMany);
    }
    let mut left = n_elements.checked_sub(1).ok_or(Unreadable::Malformed)?;
    let n_fields = element(reader)?.n_children.filter(|n_fields| *n_fields <= left).ok_or(Unreadable::Malformed)?;
    let mut columns = Vec::with_capacity(n_fields);
    for _ in 0..n_fields {
        let field = element(reader)?;
        let mut below = field.n_children.unwrap_or(0);
        left = left.checked_sub(1).ok_or(Unreadable::Malformed)?;
        while below > 0 {
            left = left.checked_sub(1).ok_or(Unreadable::Malformed)?;
            let n_children = element(reader)?.n_children.unwrap_or(0);
            below = (below - 1).checked_add(n_children).ok_or(Unreadable::Malformed)?;
        }
        columns.push(field.column()?);
    }
    if left == 0 { Ok(columns) } else { Err(Unreadable::Malformed) }
}

/// The fields of a `SchemaElement` that matter here.
#[derive(Default)]
struct Element {
    kind: Option<i64>,
    repetition: Option<i64>,
    name: Option<String>,
    n_children: Option<usize>,
    converted: Option<i64>,
    logical: Option<i16>,
    scale: i64,
    precision: i64,
}

fn element(reader: &mut Reader) -> Result<Element, Unreadable> {
    const LOGICAL: i16 = 10;
    let mut element = Element::default();
    let mut last = 0;
    while let Some((id, kind)) = reader.field(last)? {
        last = id;
        if id == LOGICAL {
            element.logical = reader.union(kind)?;
            continue;
        }
        match (id, reader.value(kind)?) {
            (1, Value::Number(kind)) => element.kind = Some(kind),
            (3, Value::Number(repetition)) => element.repetition = Some(repetition),
            (4, Value::Bytes(name)) => {
                element.name = Some(std::str::from_utf8(name).map_err(|_| Unreadable::Malformed)?.to_owned());
            }
            (5, Value::Number(n)) => {
                element.n_children = Some(usize::try_from(n).map_err(|_| Unreadable::Malformed)?);
            }
            (6, Value::Number(converted)) => element.converted = Some(converted),
            (7, Value::Number(scale)) => element.scale = scale,
            (8, Value::Number(precision)) => element.precision = precision,
            _ => {}
        }
    }
    Ok(element)
}

impl Element {
    fn column(self) -> Result<FileColumn, Unreadable> {
        const REPEATED: i64 = 2;
        let is_nested = self.n_children.is_some_and(|n| n > 0) || self.repetition == Some(REPEATED);
        let physical = match self.kind {
            _ if is_nested => Physical::Nested,
            None => Physical::Nested,
            Some(0) => Physical::Boolean,
            Some(1) => Physical::Int32,
            Some(2) => Physical::Int64,
            Some(3) => Physical::Int96,
            Some(4) => Physical::Float,
            Some(5) => Physical::Double,
            Some(6) => Physical::Bytes,
            Some(7) => Physical::FixedBytes,
            Some(_) => return Err(Unreadable::Malformed),
        };
        let meaning = if physical == Physical::Int96 { Meaning::Timestamp } else { self.meaning() };
        let name = self.name.filter(|name| !name.is_empty()).ok_or(Unreadable::Malformed)?;
        Ok(FileColumn { name, physical, meaning })
    }

    /// If an element has both the new and the old annotation, they agree.
    fn meaning(&self) -> Meaning {
        match (self.logical, self.converted) {
            (Some(1 | 4 | 12), _) | (None, Some(0 | 4 | 19)) => Meaning::Text,
            (Some(5), _) | (None, Some(5)) => {
                let digits = u8::try_from(self.precision).ok().zip(u8::try_from(self.scale).ok());
                digits.map_or(Meaning::Plain, |(precision, scale)| Meaning::Decimal(precision, scale))
            }
            (Some(6), _) | (None, Some(6)) => Meaning::Date,
            (Some(7), _) | (None, Some(7 | 8)) => Meaning::Time,
            (Some(8), _) | (None, Some(9 | 10)) => Meaning::Timestamp,
            _ => Meaning::Plain,
        }
    }
}

impl FileColumn {
    /// The type of a target column that can hold these values (Redshift database guide, "Data types").
    pub fn sql_type(&self) -> String {
        let name = match (self.physical, self.meaning) {
            (Physical::Nested, _) => "SUPER",
            (_, Meaning::Decimal(precision, scale)) => return format!("DECIMAL({precision}, {scale})"),
            (_, Meaning::Date) => "DATE",
            (_, Meaning::Time) => "TIME",
            (_, Meaning::Timestamp) => "TIMESTAMP",
            (Physical::Boolean, _) => "BOOLEAN",
            (Physical::Int32, _) => "INTEGER",
            (Physical::Int64 | Physical::Int96, _) => "BIGINT",
            (Physical::Float, _) => "REAL",
            (Physical::Double, _) => "DOUBLE PRECISION",
            // Older writers do not mark bytes as text.
            (Physical::Bytes | Physical::Written, _) | (Physical::FixedBytes, Meaning::Text) => "VARCHAR(65535)",
            (Physical::FixedBytes, _) => "VARBYTE",
        };
        name.to_owned()
    }
}

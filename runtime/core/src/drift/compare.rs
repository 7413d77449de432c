//! Compares the names, order and types of a file's columns with those that COPY expects.

use crate::parquet::{FileColumn, Meaning, Physical};
use crate::sql::columns::TargetColumn;

/// The certain differences.
#[derive(Clone, Debug, Default)]
pub struct Differences<'a> {
    /// Columns that only the file has.
    pub surplus: Vec<&'a FileColumn>,
    /// Columns that only the table has.
    pub lacking: Vec<&'a TargetColumn>,
    /// Columns whose values COPY cannot convert to the type of the table's column.
    pub other_type: Vec<(&'a FileColumn, &'a TargetColumn)>,
    /// Columns that both have, in different orders: the file's order, and the table's.
    pub order: Option<(Vec<String>, Vec<String>)>,
    /// Number of columns in the file, and the number that COPY expects, if their names do not match.
    pub count: Option<(usize, usize)>,
}

impl<'a> Differences<'a> {
    /// Whether there is any difference, so the file is a misfit.
    pub fn is_any(&self) -> bool {
        let Self { surplus, lacking, other_type, order, count } = self;
        !(surplus.is_empty() && lacking.is_empty() && other_type.is_empty() && order.is_none() && count.is_none())
    }

    /// Pairs that may be one column under two names.
    pub fn renamed(&self) -> impl Iterator<Item = (&'a FileColumn, &'a TargetColumn)> {
        let is_one_for_one = self.surplus.len() == self.lacking.len();
        let pairs = self.surplus.iter().copied().zip(self.lacking.iter().copied());
        pairs.filter(move |(file, table)| is_one_for_one && !contradicts(file, &table.kind))
    }
}

/// Whether the file has a column of this name. Redshift folds names, so case does not matter.
pub fn names(file: &[FileColumn], wanted: &TargetColumn) -> bool {
    file.iter().any(|column| is_same(column, wanted))
}

/// Whether both columns have the same name.
pub fn is_same(file: &FileColumn, wanted: &TargetColumn) -> bool {
    file.name.to_lowercase() == wanted.name.as_str().to_lowercase()
}

/// Compares the columns. If their number is right, a name that only the file has means nothing by itself, because every position has a
/// column. `fills`: COPY writes NULL to columns that are missing at the end of the file.
pub fn compare<'a>(file: &'a [FileColumn], wanted: &'a [TargetColumn], fills: bool) -> Differences<'a> {
    let mut found = Differences::default();
    let is_counted = file.len() == wanted.len() || (fills && file.len() < wanted.len());
    let is_wanted = |column: &FileColumn| wanted.iter().any(|wanted| is_same(column, wanted));
    let in_place = file.iter().zip(wanted).all(|(file, wanted)| is_same(file, wanted));
    // A file that shares no name with the table was written to be matched by position.
    let by_name = file.iter().any(is_wanted) && !(in_place && is_counted);
    if by_name && !is_counted {
        found.surplus = file.iter().filter(|column| !is_wanted(column)).collect();
        found.lacking = wanted.iter().filter(|wanted| !names(file, wanted)).collect();
    }
    if by_name {
        found.order = order(file, wanted, found.surplus.is_empty() && found.lacking.is_empty());
    }
    let by_position = found.surplus.is_empty() && found.lacking.is_empty() && found.order.is_none();
    if by_position && !is_counted {
        found.count = Some((file.len(), wanted.len()));
    }
    let pair = |(at, column): (usize, &'a FileColumn)| {
        let named = || wanted.iter().find(|wanted| is_same(column, wanted));
        let wanted = if by_position { wanted.get(at) } else { named() };
        wanted.map(|wanted| (column, wanted))
    };
    let pairs = file.iter().enumerate().filter_map(pair);
    found.other_type = pairs.filter(|(file, wanted)| contradicts(file, &wanted.kind)).collect();
    found
}

/// The names that both have, if their order differs; with `in_place` also if one is at another's position.
fn order(file: &[FileColumn], wanted: &[TargetColumn], in_place: bool) -> Option<(Vec<String>, Vec<String>)> {
    let folded: Vec<String> = file.iter().map(|column| column.name.to_lowercase()).collect();
    let wanted: Vec<String> = wanted.iter().map(|column| column.name.as_str().to_lowercase()).collect();
    let of_file: Vec<String> = folded.iter().filter(|name| wanted.contains(name)).cloned().collect();
    let of_table: Vec<String> = wanted.iter().filter(|name| folded.contains(name)).cloned().collect();
    let is_taken = |(name, place): (&String, &String)| name != place && wanted.contains(name);
    let differs = of_file != of_table || (in_place && folded.iter().zip(&wanted).any(is_taken));
    differs.then_some((of_file, of_table))
}

/// Whether COPY certainly cannot write these values to a column of this type, as the catalog names it. Only values of another kind are
/// refused: text, Booleans and timestamps for numbers, and numbers for text. The width of numbers, texts that may be dates or times, and
/// types that are not listed here are left to COPY.
pub fn contradicts(file: &FileColumn, kind: &str) -> bool {
    let is_text = file.meaning == Meaning::Text;
    match (kind, file.physical) {
        (_, Physical::Nested | Physical::Written) => false,
        ("smallint" | "integer" | "bigint" | "real" | "double precision" | "numeric", physical) => {
            is_text || matches!(physical, Physical::Boolean | Physical::Int96)
        }
        ("boolean", physical) => !matches!(physical, Physical::Boolean | Physical::Int32 | Physical::Int64),
        ("character varying" | "character", physical) => !matches!(physical, Physical::Bytes | Physical::FixedBytes),
        _ => false,
    }
}

//! Names, order and types of a file's columns against those that COPY puts them into.

use crate::parquet::{FileColumn, Meaning, Physical};
use crate::sql::columns::TargetColumn;

/// What differs for certain.
#[derive(Clone, Debug, Default)]
pub struct Differences<'a> {
    /// Columns that only the file has.
    pub surplus: Vec<&'a FileColumn>,
    /// Columns that only the table has.
    pub lacking: Vec<&'a TargetColumn>,
    /// Columns whose values COPY cannot put into the table's.
    pub other_type: Vec<(&'a FileColumn, &'a TargetColumn)>,
    /// Names that both have and that stand in other places: the file's, the table's.
    pub order: Option<(Vec<String>, Vec<String>)>,
    /// How many columns the file has, and how many COPY expects, where names do not tell.
    pub count: Option<(usize, usize)>,
}

impl<'a> Differences<'a> {
    /// Whether the file is a misfit.
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

/// Whether the file has a column of this name; Redshift folds names, so they are compared without case.
pub fn names(file: &[FileColumn], wanted: &TargetColumn) -> bool {
    file.iter().any(|column| is_same(column, wanted))
}

/// Whether they have the same name.
pub fn is_same(file: &FileColumn, wanted: &TargetColumn) -> bool {
    file.name.to_lowercase() == wanted.name.as_str().to_lowercase()
}

/// Where the number of columns is right, a name that only the file has means nothing by itself: each position has its column. `fills`: COPY
/// takes NULL for columns that the end of the file's list lacks.
pub fn compare<'a>(file: &'a [FileColumn], wanted: &'a [TargetColumn], fills: bool) -> Differences<'a> {
    let mut found = Differences::default();
    let is_counted = file.len() == wanted.len() || (fills && file.len() < wanted.len());
    let is_wanted = |column: &FileColumn| wanted.iter().any(|wanted| is_same(column, wanted));
    let in_place = file.iter().zip(wanted).all(|(file, wanted)| is_same(file, wanted));
    // Files that share no name with the table are written for positions.
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

/// The names that both have, where their order differs; with `in_place` also where one stands in another's place.
fn order(file: &[FileColumn], wanted: &[TargetColumn], in_place: bool) -> Option<(Vec<String>, Vec<String>)> {
    let folded: Vec<String> = file.iter().map(|column| column.name.to_lowercase()).collect();
    let wanted: Vec<String> = wanted.iter().map(|column| column.name.as_str().to_lowercase()).collect();
    let of_file: Vec<String> = folded.iter().filter(|name| wanted.contains(name)).cloned().collect();
    let of_table: Vec<String> = wanted.iter().filter(|name| folded.contains(name)).cloned().collect();
    let is_taken = |(name, place): (&String, &String)| name != place && wanted.contains(name);
    let differs = of_file != of_table || (in_place && folded.iter().zip(&wanted).any(is_taken));
    differs.then_some((of_file, of_table))
}

/// Whether COPY certainly cannot put these values into a column of this type, as the catalog calls it. Refused is only what is of another
/// kind: text, truth values and instants for numbers, numbers for text. How wide a number is, what can be a date or a time, and types that
/// are not named here are left to COPY.
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

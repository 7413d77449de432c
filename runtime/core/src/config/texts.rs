//! Text fields of a queue's file: whether they are set, and whether they are identifiers.

use crate::ident::Ident;
use crate::problem::Problems;

/// The valid identifiers among these names. The others are reported as problems of the field.
pub(super) fn idents(field: &str, names: &[String], problems: &mut Problems) -> Vec<Ident> {
    names.iter().filter_map(|name| problems.take(field, Ident::parse(name))).collect()
}

/// The text, if it is present and not empty.
pub(super) fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

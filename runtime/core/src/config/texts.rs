//! Texts of a queue's file: given or not, and names among them.

use crate::ident::Ident;
use crate::problem::Problems;

/// The names that are identifiers; the others are problems of the field.
pub(super) fn idents(field: &str, names: &[String], problems: &mut Problems) -> Vec<Ident> {
    names.iter().filter_map(|name| problems.take(field, Ident::parse(name))).collect()
}

/// A text that is there and not empty.
pub(super) fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

//! How the columns of a file go into the target: the column list of its COPY, and the columns that are added to the target first.

use crate::ident::{Ident, TableName};
use crate::parquet::FileColumn;

/// How a file goes into the target. Files of one load have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fit {
    /// The target's columns that the file has, in the file's order: the list of its COPY. Empty: as the configuration says, by position.
    pub columns: Vec<Ident>,
    /// Columns of the file that the target does not have yet: it gets them in the load's own transaction.
    pub added: Vec<AddedColumn>,
}

/// A column that the target gets. It can be NULL, because the rows that are there have no value for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddedColumn {
    /// Its name.
    pub name: Ident,
    /// Its type in SQL.
    pub kind: String,
}

impl AddedColumn {
    /// The column that can hold a file's; [`FileColumn::sql_type`] says its type.
    pub fn of(column: &FileColumn) -> Self {
        Self { name: folded(column), kind: column.sql_type() }
    }

    /// The statement that adds it: Redshift takes one column in each (database guide, ALTER TABLE).
    pub fn statement(&self, table: &TableName) -> String {
        format!("ALTER TABLE {table} ADD COLUMN {} {}", self.name, self.kind)
    }

    /// As a person reads it.
    pub fn words(&self) -> String {
        format!("{} {}", self.name.as_str(), self.kind)
    }
}

/// The name of a file's column as Redshift folds it.
pub fn folded(column: &FileColumn) -> Ident {
    Ident::exact(column.name.to_lowercase())
}

//! How the columns of a file map to the target: the column list of its COPY, and the columns that are added to the target first.

use crate::ident::{Ident, TableName};
use crate::parquet::FileColumn;

/// How a file maps to the target. All files of a load have the same fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fit {
    /// The target's columns that the file has, in the file's order: the column list of the COPY. Empty: by position, as configured.
    pub columns: Vec<Ident>,
    /// Columns of the file that the target does not have yet. The load adds them in its own transaction.
    pub added: Vec<AddedColumn>,
}

/// A column to add to the target. It is nullable, because existing rows have no value for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddedColumn {
    /// Its name.
    pub name: Ident,
    /// Its SQL type, such as `VARCHAR(65535)`.
    pub kind: String,
}

impl AddedColumn {
    /// The column to add for a file's column; [`FileColumn::sql_type`] gives its type.
    pub fn of(column: &FileColumn) -> Self {
        Self { name: folded(column), kind: column.sql_type() }
    }

    /// The SQL statement that adds it. Redshift adds one column per statement (database guide, ALTER TABLE).
    pub fn statement(&self, table: &TableName) -> String {
        format!("ALTER TABLE {table} ADD COLUMN {} {}", self.name, self.kind)
    }

    /// Name and type for people, without quotes.
    pub fn words(&self) -> String {
        format!("{} {}", self.name.as_str(), self.kind)
    }
}

/// A file column's name in lower case, as Redshift folds it.
pub fn folded(column: &FileColumn) -> Ident {
    Ident::exact(column.name.to_lowercase())
}

//! The columns of Parquet files that were read before. A load with more misfits than one transaction takes is looked at again for each
//! part of them, and so is a file that waits for files of another shape.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use loader_core::ids::ObjectVersion;
use loader_core::parquet::FileColumn;

/// Maximum number of remembered columns of all files together, about 16 MB: a load of 1000 files with 200 columns each.
const COLUMNS_MAX: usize = 200_000;

/// Columns by the ledger id of an object version, whose content never changes.
#[derive(Debug, Default)]
pub struct Footers(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    files: HashMap<String, Vec<FileColumn>>,
    n_columns: usize,
}

impl Footers {
    /// The columns of a file, if they were read before.
    pub(crate) fn of(&self, object: &ObjectVersion) -> Option<Vec<FileColumn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).files.get(&object.id()).cloned()
    }

    /// Remembers the columns of a file. If there would be too many, all others are forgotten first.
    pub(crate) fn keep(&self, object: &ObjectVersion, columns: &[FileColumn]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.n_columns + columns.len() > COLUMNS_MAX {
            *known = Known::default();
        }
        known.n_columns += columns.len();
        known.files.insert(object.id(), columns.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use loader_core::ids::Version;
    use loader_core::parquet::{Meaning, Physical};

    use super::*;

    #[test]
    fn the_number_of_remembered_columns_is_bounded() {
        let object = |number: usize| ObjectVersion {
            bucket: "bucket".to_owned(),
            key: number.to_string(),
            version: Version::ETag("e".to_owned()),
        };
        let column = FileColumn { name: "id".to_owned(), physical: Physical::Int64, meaning: Meaning::Plain };
        let columns = vec![column; COLUMNS_MAX / 2];
        let footers = Footers::default();
        for number in 0..3 {
            assert_eq!(footers.of(&object(number)), None);
            footers.keep(&object(number), &columns);
        }
        let kept: Vec<usize> = (0..3).filter(|number| footers.of(&object(*number)).is_some()).collect();
        assert_eq!(kept, [2]);
    }
}

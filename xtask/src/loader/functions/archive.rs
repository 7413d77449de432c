//! A function's zip: one executable named `bootstrap`. The same executable always produces the same bytes.

use std::io::{Cursor, Write};

use anyhow::Result;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Name of the executable in the zip, as Lambda requires.
pub const BOOTSTRAP: &str = "bootstrap";
const MODE: u32 = 0o755;
/// Maximum compression, as a fixed number, so that a new default does not change the bytes.
const LEVEL: i64 = 9;

/// The zip of an executable.
pub fn bootstrap_zip(executable: &[u8]) -> Result<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .last_modified_time(DateTime::default())
        .unix_permissions(MODE);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(BOOTSTRAP, options)?;
    zip.write_all(executable)?;
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_executable_gives_the_same_bytes() {
        let one = bootstrap_zip(b"\x7fELF...").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(one, bootstrap_zip(b"\x7fELF...").unwrap());
    }

    #[test]
    fn the_zip_holds_an_executable_bootstrap() {
        let zip = bootstrap_zip(b"program").unwrap();
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        assert_eq!(archive.len(), 1);
        let file = archive.by_index(0).unwrap();
        assert_eq!((file.name().unwrap().as_ref(), file.unix_mode().map(|mode| mode & 0o777)), (BOOTSTRAP, Some(MODE)));
    }
}

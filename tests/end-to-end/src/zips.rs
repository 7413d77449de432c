//! Zips of the functions' development binaries, made once per build of them.

use std::fs::File;
use std::io::{BufWriter, copy};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use loader_core::contract::Function;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Folder of the binaries: the test program lies in `deps/` below it.
pub fn binaries_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find the running program")?;
    program.ancestors().nth(2).map(Path::to_owned).context("the test program lies in no target folder")
}

/// Folder for zips and stacks, in the target folder.
pub fn work_folder() -> Result<PathBuf> {
    let folder = binaries_folder()?.with_file_name("end-to-end");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The zip of a function; not compressed, because nobody downloads it.
pub fn zip_of(function: Function) -> Result<PathBuf> {
    let package = function.package();
    let binary = binaries_folder()?.join(package);
    let found = std::fs::metadata(&binary).with_context(|| {
        format!("no `{package}` beside the tests: run `cargo build -p microbatch-loader -p next-loader -p bulk-loader`")
    })?;
    let built = found.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    let zip = work_folder()?.join(format!("{package}-{built}.zip"));
    if !zip.is_file() {
        forget_older(package)?;
        let unfinished = zip.with_extension(std::process::id().to_string());
        write(&binary, &unfinished)?;
        std::fs::rename(&unfinished, &zip)?;
    }
    Ok(zip)
}

fn write(binary: &Path, zip: &Path) -> Result<()> {
    let options = SimpleFileOptions::default()
        .unix_permissions(0o755)
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default());
    let mut writer = ZipWriter::new(BufWriter::new(File::create(zip)?));
    writer.start_file("bootstrap", options)?;
    copy(&mut File::open(binary)?, &mut writer)?;
    writer.finish()?;
    Ok(())
}

fn forget_older(package: &str) -> Result<()> {
    for entry in std::fs::read_dir(work_folder()?)?.flatten() {
        let path = entry.path();
        let is_zip = path.extension().is_some_and(|extension| extension == "zip");
        if is_zip && entry.file_name().to_string_lossy().starts_with(&format!("{package}-")) {
            std::fs::remove_file(path).ok();
        }
    }
    Ok(())
}

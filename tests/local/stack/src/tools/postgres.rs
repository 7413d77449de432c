//! Finds PostgreSQL, or unpacks it from a wheel.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use local_client::Progress;

use super::python::{pip, run};
use super::{Tell, empty, is_current, set_current, stamp};

/// Oldest PostgreSQL that the stand-in works with.
const MAJOR_VERSION_MIN: u32 = 14;
/// Where Debian and Ubuntu install it, outside of the PATH.
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";

/// Searches for PostgreSQL's programs in `wanted`, `$PG_BIN`, the PATH, and Debian's folders (newest first).
/// It is an error if a folder that was given has no suitable version. Returns `None` if no folder was given and none is installed.
pub fn find_postgres(wanted: Option<&Path>) -> Result<Option<PathBuf>> {
    let named = wanted.map(Path::to_owned).or_else(|| std::env::var_os("PG_BIN").map(PathBuf::from));
    if let Some(bin) = named {
        return match major_version(&bin) {
            Some(version) if version >= MAJOR_VERSION_MIN => Ok(Some(bin)),
            Some(version) => {
                bail!("`{}` contains PostgreSQL {version}: {MAJOR_VERSION_MIN} or newer is needed", bin.display())
            }
            None => bail!("`{}` does not contain PostgreSQL's `postgres` and `initdb`", bin.display()),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).collect::<Vec<_>>();
    let good = |bin: &PathBuf| major_version(bin).is_some_and(|version| version >= MAJOR_VERSION_MIN);
    if let Some(bin) = on_path.into_iter().find(good) {
        return Ok(Some(bin));
    }
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(DEBIAN_FOLDER)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter_map(|bin| Some((major_version(&bin)?, bin)))
        .filter(|(version, _)| *version >= MAJOR_VERSION_MIN)
        .collect();
    versions.sort();
    Ok(versions.pop().map(|(_, bin)| bin))
}

/// Downloads and unzips the wheel, whose programs are used without installing it.
pub fn from_wheel(python: &Path, local: &Path, requirements: &str, tell: Tell) -> Result<PathBuf> {
    let folder = local.join("postgresql");
    let wanted = stamp(requirements, "wheel");
    if !is_current(&folder, &wanted) {
        tell(Progress::step("tools", format!("no PostgreSQL found: downloading one into `{}`", folder.display())));
        empty(&folder)?;
        unpack(python, &folder, requirements).context("cannot unpack PostgreSQL from its wheel")?;
        set_current(&folder, &wanted)?;
    }
    bin_below(&folder)?
        .context("the wheel contains no `initdb`: install PostgreSQL 14 or newer, or name its folder in PG_BIN")
}

fn unpack(python: &Path, folder: &Path, requirements: &str) -> Result<()> {
    let list = folder.join("requirements.txt");
    std::fs::write(&list, requirements)?;
    let mut download = pip(python);
    download.args(["download", "--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement"]);
    run(download.arg(&list).arg("--dest").arg(folder))?;
    let wheel = wheel_in(folder)?.context("pip downloaded no wheel")?;
    run(Command::new(python).args(["-m", "zipfile", "--extract"]).arg(&wheel).arg(folder))?;
    std::fs::remove_file(&wheel)?;
    make_programs_executable(folder)
}

/// Unzipping loses the permissions, so every file in a folder named `bin` is made executable.
fn make_programs_executable(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_programs_executable(&entry.path())?;
        } else if folder.ends_with("bin") {
            std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

fn wheel_in(folder: &Path) -> Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The folder below `folder` with the newest `initdb`. The wheel contains more than one version.
fn bin_below(folder: &Path) -> Result<Option<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        if folder.join("initdb").is_file() {
            found.push((major_version(&folder), folder));
            continue;
        }
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(found.into_iter().max().map(|(_, bin)| bin))
}

fn major_version(bin: &Path) -> Option<u32> {
    if !bin.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    parse_major_version(&String::from_utf8(output.stdout).ok()?)
}

/// Parses `postgres (PostgreSQL) 15.14 (Debian …)` as 15.
fn parse_major_version(text: &str) -> Option<u32> {
    let version = text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse_major_version;

    #[test]
    fn the_major_version_is_the_first_number() {
        assert_eq!(parse_major_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major_version("postgres (PostgreSQL) 18beta2"), Some(18));
        assert_eq!(parse_major_version("something else"), None);
    }
}

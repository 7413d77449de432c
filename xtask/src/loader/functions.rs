//! The zips of the three functions, checked against the Lambda runtime.
//!
//! One cargo call builds all three. A zip is rewritten only if its executable changed.

pub mod archive;
mod elf;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;
use loader_core::contract::Function;
use serde::{Deserialize, Serialize};
use synth::names::zip_key;
use synth::{Architecture, workspace};

use crate::ground::hash::sha256;
use crate::ground::output::{Failure, Out, Step, size};
use crate::ground::shell;
use crate::loader::functions::archive::bootstrap_zip;
use crate::loader::functions::elf::{GLIBC_MAX, newest_glibc};

/// The processor of this machine, for which the local stack needs the functions.
pub fn this_machine() -> Architecture {
    if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::X86_64 }
}

fn rust_target(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "x86_64-unknown-linux-gnu",
        Architecture::Arm64 => "aarch64-unknown-linux-gnu",
    }
}

/// Cargo profile of the functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Small and quick to start
    #[default]
    Release,
    /// Quick to build
    Dev,
}

/// What to do if the executables need a newer glibc than the runtime has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// For Lambda: report an error.
    InLambda,
    /// For this machine only: ignore it.
    Here,
}

/// What to build.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub arch: Architecture,
    pub profile: Profile,
    /// Where the functions will run.
    pub runs: Runs,
}

/// A function's zip.
#[derive(Clone, Debug, Serialize)]
pub struct Asset {
    /// The function; in JSON, the name of its package.
    #[serde(rename = "package", serialize_with = "package")]
    pub function: Function,
    pub path: PathBuf,
    /// SHA-256 of the zip.
    pub sha256: String,
    pub bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn package<S: serde::Serializer>(function: &Function, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(function.package())
}

/// What the zip was made from; stored beside it.
#[derive(Deserialize, PartialEq, Eq, Serialize)]
struct Stamp {
    executable_sha256: String,
    executable_modified_nanos: u128,
    executable_bytes: u64,
    zip_sha256: String,
    zip_bytes: u64,
    glibc: Option<(u32, u32)>,
}

/// Builds, checks and zips the three functions.
pub fn build(out: Out, wanted: Wanted) -> Result<Vec<Asset>> {
    let mut linker = if wanted.arch == this_machine() { Linker::Host } else { Linker::Zig };
    let folder = assets_folder(wanted.profile);
    std::fs::create_dir_all(&folder)?;
    loop {
        let step = out.step("building the functions");
        let zips = build_with(linker, wanted, &folder, &step)?;
        match zips.iter().find_map(|zip| zip.too_new(wanted)) {
            None => {
                step.done(summary(&zips, &folder));
                return Ok(zips.into_iter().map(|zip| zip.asset).collect());
            }
            Some(_) if linker == Linker::Host && shell::is_installed(ZIGBUILD) => {
                step.line("this machine's C library is too new for Lambda: building again with cargo zigbuild");
                linker = Linker::Zig;
            }
            Some(failure) => return Err(failure.into()),
        }
    }
}

const ZIGBUILD: &str = "cargo-zigbuild";

/// What links the executables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Linker {
    /// This machine's compiler and C library.
    Host,
    /// `cargo zigbuild`, against the runtime's glibc.
    Zig,
}

struct Zip {
    asset: Asset,
    glibc: Option<(u32, u32)>,
    written: bool,
}

fn build_with(linker: Linker, wanted: Wanted, folder: &Path, step: &Step) -> Result<Vec<Zip>> {
    let arguments = cargo_arguments(linker, wanted)?;
    let executables = shell::cargo_build(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), step)?;
    step.now("zips");
    let zip = |function: Function| {
        let package = function.package();
        let executable = executables.iter().find(|(name, _)| name == package).map(|(_, path)| path);
        let executable = executable.with_context(|| format!("cargo built no executable `{package}`"))?;
        zip_function(function, executable, folder)
    };
    Function::ALL.into_iter().map(zip).collect()
}

fn summary(zips: &[Zip], folder: &Path) -> String {
    let n_new = zips.iter().filter(|zip| zip.written).count();
    let total = size(zips.iter().map(|zip| zip.asset.bytes).sum());
    let changes = if n_new == 0 { "nothing changed".to_owned() } else { format!("{n_new} new of {} zips", zips.len()) };
    format!("functions built: {changes}, {total} in {}", workspace::shown(folder))
}

/// The zips that were last built for AWS: those that exist.
pub fn built() -> Vec<Asset> {
    let folder = assets_folder(Profile::Release);
    let asset = |function: Function| {
        let path = folder.join(zip_key(function));
        let stamp = read_stamp(&stamp_path(&path))?;
        Some(Asset { function, path, sha256: stamp.zip_sha256, bytes: stamp.zip_bytes })
    };
    Function::ALL.into_iter().filter_map(asset).collect()
}

fn assets_folder(profile: Profile) -> PathBuf {
    let folder = workspace::root().join("cfn-out/assets");
    match profile {
        Profile::Release => folder,
        Profile::Dev => folder.join("dev"),
    }
}

fn cargo_arguments(linker: Linker, wanted: Wanted) -> Result<Vec<String>> {
    let target = rust_target(wanted.arch);
    let mut arguments = match linker {
        Linker::Host => vec!["build".to_owned()],
        Linker::Zig => {
            check_cross_tools(target)?;
            vec!["zigbuild".to_owned(), "--target".to_owned(), format!("{target}.{}.{}", GLIBC_MAX.0, GLIBC_MAX.1)]
        }
    };
    // For AWS, only the functions' own features are enabled. For the tests, the workspace's are, so that builds of dependencies are shared.
    let selects = match wanted.profile {
        Profile::Release => {
            arguments.push("--release".to_owned());
            "--package"
        }
        Profile::Dev => {
            arguments.push("--workspace".to_owned());
            "--bin"
        }
    };
    for function in Function::ALL {
        arguments.extend([selects.to_owned(), function.package().to_owned()]);
    }
    Ok(arguments)
}

fn check_cross_tools(target: &str) -> Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]).current_dir(workspace::root());
    let (known, folder) = shell::run_quietly(rustc)?;
    if !known || !Path::new(folder.trim()).is_dir() {
        let message = format!("Rust's standard library for `{target}` is not installed");
        return Err(Failure::new(message, format!("rustup target add {target}")).into());
    }
    if !shell::is_installed(ZIGBUILD) {
        let message = format!("no cross compiler for `{target}`: `cargo zigbuild` is not installed");
        return Err(Failure::new(message, "python3 -m pip install cargo-zigbuild ziglang").into());
    }
    Ok(())
}

fn zip_function(function: Function, executable: &Path, folder: &Path) -> Result<Zip> {
    let path = folder.join(zip_key(function));
    let stamp_path = stamp_path(&path);
    let metadata = std::fs::metadata(executable)?;
    let modified_nanos = metadata.modified()?.duration_since(std::time::UNIX_EPOCH)?.as_nanos();
    let same_file =
        |stamp: &Stamp| stamp.executable_bytes == metadata.len() && stamp.executable_modified_nanos == modified_nanos;
    let zip_bytes = std::fs::metadata(&path).map_or(0, |zip| zip.len());
    let known = read_stamp(&stamp_path).filter(|stamp| stamp.zip_bytes == zip_bytes);
    let (stamp, written) = match known {
        Some(stamp) if same_file(&stamp) => (stamp, false),
        known => {
            let data = std::fs::read(executable)?;
            let (stamp, zip) = make_zip(&data, modified_nanos, known)?;
            if let Some(zip) = &zip {
                std::fs::write(&path, zip).with_context(|| format!("cannot write `{}`", path.display()))?;
            }
            std::fs::write(&stamp_path, serde_json::to_vec(&stamp)?)?;
            (stamp, zip.is_some())
        }
    };
    let asset = Asset { function, path, sha256: stamp.zip_sha256, bytes: stamp.zip_bytes };
    Ok(Zip { asset, glibc: stamp.glibc, written })
}

fn stamp_path(zip: &Path) -> PathBuf {
    zip.with_added_extension("json")
}

fn read_stamp(path: &Path) -> Option<Stamp> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// The stamp of an executable's zip, and the zip, unless the existing one contains the same executable.
fn make_zip(data: &[u8], modified_nanos: u128, known: Option<Stamp>) -> Result<(Stamp, Option<Vec<u8>>)> {
    let executable_sha256 = sha256(data);
    if let Some(known) = known.filter(|stamp| stamp.executable_sha256 == executable_sha256) {
        return Ok((Stamp { executable_modified_nanos: modified_nanos, ..known }, None));
    }
    let zip = bootstrap_zip(data)?;
    let stamp = Stamp {
        executable_sha256,
        executable_modified_nanos: modified_nanos,
        executable_bytes: data.len() as u64,
        zip_sha256: sha256(&zip),
        zip_bytes: zip.len() as u64,
        glibc: newest_glibc(data)?,
    };
    Ok((stamp, Some(zip)))
}

impl Zip {
    /// Why the runtime cannot run the executable, and what to do.
    fn too_new(&self, wanted: Wanted) -> Option<Failure> {
        let needed = self.glibc.filter(|version| wanted.runs == Runs::InLambda && *version > GLIBC_MAX)?;
        let (major, minor) = GLIBC_MAX;
        let message = format!(
            "`{}` needs GLIBC_{}.{}, and the provided.al2023 runtime has {major}.{minor}: this machine's C library is too new to build for it",
            self.asset.function.package(),
            needed.0,
            needed.1
        );
        let target = rust_target(wanted.arch);
        let hint = format!(
            "python3 -m pip install cargo-zigbuild ziglang, then run the same command again: it builds with `cargo zigbuild --target {target}.{major}.{minor}`"
        );
        Some(Failure::new(message, hint))
    }
}

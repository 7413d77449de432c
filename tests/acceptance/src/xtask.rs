//! Runs `cargo xtask` as a user does, in a separate clone with its own queues, zips and local stack.
//!
//! Only the compiler is not run: a script in place of cargo returns executables that have been built, so that a test can change the code by
//! changing a file.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use loader_core::contract::Function;
use serde_json::Value;

use crate::world::{STACK, clone_root, folder};

/// A clone, as far as xtask needs it.
#[derive(Debug)]
pub struct Checkout {
    root: PathBuf,
    xtask: PathBuf,
}

/// The result of a command.
#[derive(Debug)]
pub struct Said {
    /// Exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

impl Said {
    /// The output of a command with `--output json`.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.output).with_context(|| format!("no JSON: {self:?}"))
    }

    /// Standard output and standard error together.
    pub fn words(&self) -> String {
        format!("{}{}", self.output, self.errors)
    }
}

impl Checkout {
    /// Creates a clone without queues. Its local stack is that of this test binary.
    pub fn new() -> Result<Self> {
        Self::named("clone")
    }

    /// Like [`Self::new`], but in a folder with this name, for test binaries with several clones.
    pub fn named(name: &str) -> Result<Self> {
        let real = clone_root()?;
        let xtask = real.join("target/debug/xtask");
        ensure!(xtask.exists(), "{} is missing; build it: cargo build -p xtask", xtask.display());
        let checkout = Self { root: folder()?.join(name), xtask };
        for folder in ["queues", "bin", ".local", "xtask", "typed"] {
            std::fs::create_dir_all(checkout.root.join(folder))?;
        }
        std::os::unix::fs::symlink(folder()?, checkout.root.join(".local/stack"))?;
        let mut cargo = String::from("#!/bin/sh\n");
        for function in Function::ALL {
            let package = function.package();
            strip(&real.join("target/debug").join(package), &checkout.executable(function))?;
            let line = serde_json::json!({"target": {"name": package}, "executable": checkout.executable(function)});
            let _ = write!(cargo, "cat <<'END'\n{line}\nEND\n");
        }
        checkout.write("cargo", &cargo)?;
        make_executable(&checkout.root.join("cargo"))?;
        let typed = format!("#!/bin/sh\nshift\nexec '{}' \"$@\"\n", checkout.xtask.display());
        checkout.write("typed/cargo", &typed)?;
        make_executable(&checkout.root.join("typed/cargo"))?;
        Ok(checkout)
    }

    fn executable(&self, function: Function) -> PathBuf {
        self.root.join("bin").join(function.package())
    }

    /// Changes the code of a function, but not its behaviour, so that its zip changes.
    pub fn change_code(&self, function: Function) -> Result<()> {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.executable(function))?;
        Ok(file.write_all(b"changed")?)
    }

    /// The code of a function.
    pub fn code(&self, function: Function) -> Result<Vec<u8>> {
        Ok(std::fs::read(self.executable(function))?)
    }

    /// Replaces the code of a function by earlier code.
    pub fn put_code(&self, function: Function, code: &[u8]) -> Result<()> {
        Ok(std::fs::write(self.executable(function), code)?)
    }

    /// Key under which the next deployment uploads a function's zip. The zip must have been built.
    pub fn code_key(&self, function: Function) -> Result<String> {
        let package = function.package();
        let stamp = std::fs::read(self.root.join(format!("cfn-out/assets/dev/{package}.zip.json")))?;
        let stamp: Value = serde_json::from_slice(&stamp)?;
        let hash = stamp["zip_sha256"].as_str().and_then(|hash| hash.get(..16)).context("the zip has no hash")?;
        Ok(format!("{package}-{hash}.zip"))
    }

    /// Runs a command in the clone.
    pub async fn xtask(&self, arguments: &str) -> Result<Said> {
        let mut command = Command::new(&self.xtask);
        self.in_clone(command.args(arguments.split_whitespace()));
        output_of(command).await
    }

    /// Runs a shell line in the clone. `cargo xtask` runs the program that was built, and `programs` precedes the PATH.
    pub async fn types(&self, line: &str, programs: &Path, variables: &[(&str, &str)]) -> Result<Said> {
        let mut path = vec![self.root.join("typed"), programs.to_owned()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut shell = Command::new("bash");
        self.in_clone(shell.args(["-euc", line]));
        shell.env("PATH", std::env::join_paths(path)?).envs(variables.iter().copied());
        output_of(shell).await
    }

    /// Runs a command that must succeed.
    pub async fn must(&self, arguments: &str) -> Result<Said> {
        let said = self.xtask(arguments).await?;
        ensure!(said.code == Some(0), "xtask {arguments}: exit code {:?}\n{}", said.code, said.words());
        Ok(said)
    }

    fn in_clone(&self, command: &mut Command) {
        command.current_dir(&self.root).stdin(Stdio::null());
        command.env("CARGO", self.root.join("cargo")).env("CARGO_MANIFEST_DIR", self.root.join("xtask"));
    }

    /// Deploys to the local stack and returns the JSON result.
    pub async fn deploy(&self, arguments: &str) -> Result<Value> {
        self.must(&self.deploy_words(arguments)).await?.json()
    }

    /// The arguments of a deployment.
    pub fn deploy_words(&self, arguments: &str) -> String {
        format!("deploy --local --build-profile dev --stack-name {STACK} --output json {arguments}")
    }

    /// Writes a file of the clone.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        std::fs::write(self.root.join(path), text).with_context(|| format!("cannot write {path}"))
    }

    /// Reads a file of the clone.
    pub fn read(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(path)).with_context(|| format!("cannot read {path}"))
    }
}

async fn output_of(command: Command) -> Result<Said> {
    let output = tokio::process::Command::from(command).output().await.context("cannot run the command")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { code: output.status.code(), output: text(&output.stdout), errors: text(&output.stderr) })
}

/// Copies an executable without its symbols, which makes zipping much faster. Without the program `strip` it only takes longer.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let build = "build it: cargo build -p microbatch-loader -p next-loader -p bulk-loader (`cargo xtask test` does)";
    std::fs::copy(from, to).with_context(|| format!("{} is missing; {build}", from.display()))?;
    let _ = Command::new("strip").arg(to).status();
    Ok(())
}

/// Makes a file a program.
pub fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

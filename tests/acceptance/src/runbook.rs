//! Runs the commands of the runbook exactly as written there.

use std::collections::BTreeSet;
use std::sync::Mutex;

use anyhow::{Result, ensure};

use crate::page;
use crate::world::STACK;
use crate::xtask::{Checkout, Said};

/// The commands of `docs/runbook.md`, and those that have been run.
#[derive(Debug)]
pub struct Runbook {
    commands: BTreeSet<String>,
    run: Mutex<BTreeSet<String>>,
    operator: Checkout,
}

impl Runbook {
    /// Reads the runbook. Its commands are run in this clone.
    pub fn read(operator: Checkout) -> Result<Self> {
        let commands = page::commands(&page::read("docs/runbook.md")?);
        ensure!(commands.len() > 15, "only {} commands are found", commands.len());
        Ok(Self { commands, run: Mutex::default(), operator })
    }

    /// The clone in which the commands are run.
    pub fn operator(&self) -> &Checkout {
        &self.operator
    }

    /// Runs a command of the runbook on the local stack, with its placeholders replaced by `words` and with `more` options. Fails unless it exits
    /// with `code`.
    pub async fn run(&self, command: &str, words: &[(&str, &str)], more: &str, code: i32) -> Result<Said> {
        ensure!(self.commands.contains(command), "the runbook does not contain `cargo xtask {command}`");
        self.run.lock().expect("no thread has panicked").insert(command.to_owned());
        let mut line = command.to_owned();
        for (placeholder, word) in words {
            ensure!(line.contains(placeholder), "no {placeholder} in `{command}`");
            line = line.replace(placeholder, word);
        }
        let stack = if line.starts_with("queue check") { String::new() } else { format!("--stack-name {STACK}") };
        let said = self.operator.xtask(&format!("{line} --local {stack} {more}")).await?;
        ensure!(said.code == Some(code), "{line}: exit code {:?}, expected {code}\n{}", said.code, said.words());
        Ok(said)
    }

    /// Fails unless every command of the runbook was run.
    pub fn ensure_all_run(&self) -> Result<()> {
        let run = self.run.lock().expect("no thread has panicked");
        let left: Vec<&String> = self.commands.difference(&run).collect();
        ensure!(left.is_empty(), "these commands of the runbook were not run: {left:#?}");
        Ok(())
    }
}

//! Runs the commands of the README's first five minutes. Each must print what the README shows.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use acceptance::page::{self, Step};
use acceptance::world::{Setup, World, folder};
use acceptance::xtask::{Checkout, Said};
use acceptance::{programs, shown};
use anyhow::{Context, Result, ensure};

/// Maximum time for which a command that only reads is repeated until its output matches.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// Commands that only read, and so can be repeated.
const LOOKS: [&str; 4] = ["cargo xtask status", "cargo xtask trace", "cargo xtask history", "SELECT"];
/// Exit code of `status` if a table is broken.
const BROKEN: i32 = 5;

/// Follows the page.
struct Newcomer {
    clone: Checkout,
    /// Folder of substitutes for programs that are not installed.
    programs: PathBuf,
    /// `env` with the variables of the local stack; `$LOCAL` on the page.
    local: String,
    /// The psql command on the page, and the one that this deployment printed.
    psql: Option<(String, String)>,
}

#[test]
fn the_first_five_minutes_of_the_readme_are_as_they_are_shown() {
    let world = World::start(&Setup { empty: true, ..Setup::default() }).expect("the local stack comes up");
    let clone = Checkout::new().expect("a clone of its own");
    world.run(async {
        let page = page::read("README.md")?;
        let section = page::section(&page, "The first five minutes")?;
        let steps = page::blocks(section).first().map(|(_, text)| page::transcript(text)).context("no transcript")?;
        ensure!(steps.len() > 10, "only {} commands are found", steps.len());
        let programs = programs::missing(folder()?.join("programs"))?;
        let mut newcomer = Newcomer { clone, programs, local: String::new(), psql: None };
        for step in &steps {
            newcomer.follow(step).await?;
        }
        Ok(())
    });
}

impl Newcomer {
    /// Runs a command. One that only reads is repeated until it prints what the page shows.
    async fn follow(&mut self, step: &Step) -> Result<()> {
        let mut command = step.command.clone();
        if let Some((there, here)) = &self.psql {
            command = command.replace(there, here);
        }
        let looks = LOOKS.iter().any(|look| command.contains(look));
        let started = Instant::now();
        loop {
            let said = self.clone.types(&command, &self.programs, &[("LOCAL", &self.local)]).await?;
            if is_as_shown(step, &said) {
                self.learn(step, &said);
                return Ok(());
            }
            let (code, words, shown) = (said.code, said.words(), step.shown.join("\n"));
            ensure!(
                looks && started.elapsed() < PATIENCE,
                "$ {command}\n{words}\nexit code {code:?}; the README shows:\n{shown}"
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Keeps what a reader would copy from the output of a deployment.
    fn learn(&mut self, step: &Step, said: &Said) {
        let drop_a_file = behind(&said.output, "drop a file");
        if let Some((variables, _)) = drop_a_file.and_then(|line| line.split_once("aws s3 cp")) {
            self.local = format!("env {variables}");
        }
        let shown = step.shown.join("\n");
        if let (Some(there), Some(here)) = (behind(&shown, "warehouse"), behind(&said.output, "warehouse")) {
            self.psql = Some((there.to_owned(), here.to_owned()));
        }
    }
}

/// The rest of the line that begins with `words`.
fn behind<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim().strip_prefix(words)).map(str::trim)
}

/// Whether the output is as shown. If the page shows none, the command only has to succeed.
fn is_as_shown(step: &Step, said: &Said) -> bool {
    let is_broken = step.shown.iter().any(|line| line.starts_with("BROKEN"));
    let is_shown = step.shown.is_empty() || shown::agree(&step.shown, &said.output);
    is_shown && said.code == Some(if is_broken { BROKEN } else { 0 })
}

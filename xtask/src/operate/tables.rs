//! The target tables of a stack, how a user names one, and texts for people.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use loader_core::config::LoadConfig;
use loader_core::ids::readable;
use loader_core::problem::Problems;
use loader_core::tracker::slot::Step;

use crate::ground::aws::Aws;
use crate::ground::output::Failure;
use crate::ground::stack::Stack;
use crate::ground::stack_args::StackArgs;
use crate::ground::stack_name::STACK_NAME_DEFAULT;
use crate::loader::connections::configs::Configs;
use crate::loader::tracker::Tracker;

/// The tables of a deployed stack.
pub struct Tables {
    pub aws: Aws,
    pub stack: Stack,
    pub tracker: Tracker,
}

impl Tables {
    /// For a stack; an error if it does not exist.
    pub async fn of_stack(args: &StackArgs) -> Result<Self> {
        let (aws, stack) = args.connect().await?;
        let tracker = Tracker::of_stack(&aws, &stack)?;
        Ok(Self { aws, stack, tracker })
    }

    /// The options that select this stack in other commands.
    pub fn flags(&self) -> String {
        let local = if self.aws.local.is_some() { " --local" } else { "" };
        let name = &self.stack.name;
        let stack = if name == STACK_NAME_DEFAULT { String::new() } else { format!(" --stack-name {name}") };
        format!("{local}{stack}")
    }

    /// Tables of all configuration files, and those with work.
    pub async fn known(&self) -> Result<BTreeSet<String>> {
        let mut tables = Configs::of_stack(&self.aws, &self.stack)?.tables().await?;
        tables.extend(self.tracker.tables_with_work().await?);
        Ok(tables)
    }

    /// The configuration of every queue, by the queue's name.
    pub async fn configs(&self) -> Result<BTreeMap<String, Result<Arc<LoadConfig>, Problems>>> {
        Configs::of_stack(&self.aws, &self.stack)?.read().await
    }

    /// Finds the table that a user names: as in `status`, as `schema.table`, or as a table in `public` if that is unambiguous.
    pub async fn named(&self, name: &str) -> Result<String> {
        // A table may be in the tracker only with its quarantine, so a full name is accepted even if it is not known.
        if name.contains(':') {
            return Ok(name.to_owned());
        }
        Ok(pick(&self.known().await?, name)?)
    }
}

fn pick(known: &BTreeSet<String>, name: &str) -> Result<String, Failure> {
    let in_public = format!("public.{name}");
    let meant = |table: &&String| table.rsplit(':').next().is_some_and(|last| last == name || last == in_public);
    let found: Vec<&String> = known.iter().filter(meant).collect();
    let list = |tables: &mut dyn Iterator<Item = &String>| tables.map(String::as_str).collect::<Vec<_>>().join(", ");
    match found[..] {
        [table] => Ok(table.clone()),
        [] if known.is_empty() => Err(Failure::usage(
            format!("no table is called `{name}`: the stack has none yet"),
            "add one: cargo xtask queue add",
        )),
        [] => Err(Failure::usage(
            format!("no table is called `{name}`"),
            format!("use one of these: {}", list(&mut known.iter())),
        )),
        _ => Err(Failure::usage(
            format!("several tables are called `{name}`"),
            format!("use the whole name: {}", list(&mut found.into_iter())),
        )),
    }
}

/// A table without its warehouse and database, for people.
pub fn short_name(db_table: &str) -> String {
    readable(db_table.rsplit(':').next().unwrap_or(db_table))
}

/// An error text in one line, without the boxes that the warehouse draws around it.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().filter(|word| !word.starts_with("---")).collect::<Vec<_>>().join(" ")
}

/// The step of a load, for people.
pub fn step(step: &Step) -> String {
    match step {
        Step::Claimed => "claimed".into(),
        Step::Waiting { class, reason, .. } => format!("waiting after a failure ({}): {reason}", class.name()),
        Step::Prepared(_) => "prepared".into(),
        Step::Submitted { statement_id, .. } => format!("submitted as statement {statement_id}"),
        Step::GivenUp { .. } => "given up: its outcome is unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_by_an_unambiguous_name() {
        let tables = ["cluster:a:dev:public.sales", "cluster:a:dev:shop.sales", "cluster:a:dev:shop.orders"];
        let mut known: BTreeSet<String> = tables.map(ToOwned::to_owned).into();
        assert_eq!(pick(&known, "shop.sales").unwrap(), tables[1]);
        assert_eq!(pick(&known, "sales").unwrap(), tables[0]);
        let missing = pick(&known, "orders").unwrap_err();
        assert!(missing.to_string().contains("`orders`"), "{missing}");
        assert!(missing.hint.contains(tables[2]));
        known.insert("workgroup:w:dev:shop.orders".to_owned());
        let several = pick(&known, "shop.orders").unwrap_err().hint;
        assert!(several.contains(tables[2]) && several.contains("workgroup:w:dev:shop.orders"), "{several}");
        assert!(pick(&BTreeSet::new(), "orders").is_err());
    }
}

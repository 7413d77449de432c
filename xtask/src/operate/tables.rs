//! The target tables that a stack knows, and which of them a user means.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::ground::aws::Aws;
use crate::ground::output::Failure;
use crate::ground::stack::Stack;
use crate::loader::connections;
use crate::loader::tracker::Tracker;

/// Tables of all configuration files, and those with a running or a waiting load.
pub async fn known(aws: &Aws, stack: &Stack, tracker: &Tracker) -> Result<BTreeSet<String>> {
    let mut tables = connections::configured_tables(aws, stack).await?;
    tables.extend(tracker.tables_with_work().await?);
    Ok(tables)
}

/// The table that a user names: as `status` does, or `schema.table`, or a table of the schema `public`, where only one is meant.
pub async fn named(aws: &Aws, stack: &Stack, tracker: &Tracker, name: &str) -> Result<String> {
    // A table may be in the tracker alone, with nothing but its quarantine: the whole name is believed.
    if name.contains(':') {
        return Ok(name.to_owned());
    }
    Ok(pick(&known(aws, stack, tracker).await?, name)?)
}

fn pick(known: &BTreeSet<String>, name: &str) -> Result<String, Failure> {
    let in_public = format!("public.{name}");
    let meant = |table: &&String| table.rsplit(':').next().is_some_and(|last| last == name || last == in_public);
    let found: Vec<&String> = known.iter().filter(meant).collect();
    let list = |tables: &mut dyn Iterator<Item = &String>| tables.map(String::as_str).collect::<Vec<_>>().join(", ");
    match found[..] {
        [table] => Ok(table.clone()),
        [] if known.is_empty() => {
            Err(Failure::usage(format!("no table is known, nor `{name}`"), "cargo xtask queue add"))
        }
        [] => Err(Failure::usage(
            format!("no table is called `{name}`"),
            format!("one of these: {}", list(&mut known.iter())),
        )),
        _ => Err(Failure::usage(
            format!("several tables are called `{name}`"),
            format!("the whole name of one of these: {}", list(&mut found.into_iter())),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_by_its_name_where_one_is_meant() {
        let tables = ["cluster:a:dev:public.sales", "cluster:a:dev:shop.sales", "cluster:a:dev:shop.orders"];
        let mut known: BTreeSet<String> = tables.map(ToOwned::to_owned).into();
        assert_eq!(pick(&known, "shop.sales").unwrap(), tables[1]);
        assert_eq!(pick(&known, "sales").unwrap(), tables[0]);
        let missing = pick(&known, "orders").unwrap_err();
        assert!(missing.to_string().contains("`orders`"), "{missing}");
        assert!(missing.hint.unwrap().contains(tables[2]));
        known.insert("workgroup:w:dev:shop.orders".to_owned());
        let several = pick(&known, "shop.orders").unwrap_err().hint.unwrap();
        assert!(several.contains(tables[2]) && several.contains("workgroup:w:dev:shop.orders"), "{several}");
        assert!(pick(&BTreeSet::new(), "orders").is_err());
    }
}

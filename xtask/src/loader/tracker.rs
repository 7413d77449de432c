//! The tracker of a stack, read and written as the functions do it: what runs, what waits, what was loaded, what is in quarantine.
//!
//! Which writes an operator may do, and when, the core decides (`tracker::operator`); `loader-aws` sends them.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
pub use loader_aws::items::{Kind, Order};
use loader_core::ids::DbTable;
use loader_core::tracker::item::Item;
use loader_core::tracker::write::{Transaction, Written};
use loader_reconcile::ports::{PortError, Tracker as _};

use crate::ground::aws::Aws;
use crate::ground::stack::Stack;
use crate::loader::settings;

/// The tracker of a stack.
#[derive(Debug)]
pub struct Tracker {
    functions: loader_aws::Aws,
}

impl Tracker {
    /// The tracker of a stack.
    pub fn of_stack(aws: &Aws, stack: &Stack) -> Result<Self> {
        let settings = settings::of_stack(stack)?;
        let functions = loader_aws::Aws::with_clients(settings, aws.dynamodb(), aws.s3(), aws.redshift_data());
        Ok(Self { functions })
    }

    /// Items of a table; at most `limit`.
    pub async fn items(&self, db_table: &str, kind: Kind, order: Order, limit: usize) -> Result<Vec<Item>> {
        let items = self.functions.items(&DbTable(db_table.to_owned()), kind, order, limit).await;
        items.map_err(failed(format!("read the tracker of `{db_table}`")))
    }

    /// Tables that have a running or a waiting load.
    pub async fn tables_with_work(&self) -> Result<BTreeSet<String>> {
        let tables = self.functions.tables_with_work().await.map_err(failed("read the index of the tracker"))?;
        Ok(tables.into_keys().map(|table| table.0).collect())
    }

    /// Sends an operator's transaction. Returns whether it took effect; `false` when somebody was faster.
    pub async fn write(&self, transaction: &Transaction) -> Result<bool> {
        match self.functions.write(transaction).await.map_err(failed("write to the tracker"))? {
            Written::Done => Ok(true),
            Written::Refused(_) => Ok(false),
        }
    }
}

fn failed(wanted: impl std::fmt::Display) -> impl FnOnce(PortError) -> anyhow::Error {
    move |error| anyhow!("cannot {wanted}: {}", error.message)
}

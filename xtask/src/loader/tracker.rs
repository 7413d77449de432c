//! The tracker table: what runs, what waits, what was loaded, what is in quarantine; and what an operator may write to it.
//!
//! Which writes are allowed, and when, the core decides (`tracker::operator`); here they are only sent.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result, bail};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use loader_core::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY, WORK_ATTRIBUTE, WORK_INDEX};
use loader_core::tracker::item::Item;
use loader_core::tracker::wire;
use loader_core::tracker::write::{Condition, Transaction, WriteAction};

use crate::ground::aws::{Aws, code, failed};

/// The tracker table of a stack.
#[derive(Clone, Debug)]
pub struct Tracker {
    client: Client,
    table: String,
}

/// Which end of a range of items comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By time.
    OldestFirst,
    /// Against time.
    NewestFirst,
}

impl Tracker {
    /// Of a table.
    pub fn new(aws: &Aws, table: &str) -> Self {
        Self { client: aws.dynamodb(), table: table.to_owned() }
    }

    /// Items of a table whose sort key begins so; at most `limit`.
    pub async fn items(&self, db_table: &str, begins: &str, order: Order, limit: usize) -> Result<Vec<Item>> {
        let mut found = Vec::new();
        let mut start = None;
        while found.len() < limit {
            let page = self.page(db_table, begins, order, start).await?;
            for attributes in page.items.unwrap_or_default() {
                let item = serde_dynamo::from_item(attributes).map_err(anyhow::Error::from);
                let item = item.and_then(|item| Ok(wire::decode(item)?));
                found.push(item.context("the tracker has an item that cannot be read")?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn page(
        &self,
        db_table: &str,
        begins: &str,
        order: Order,
        start: Option<HashMap<String, AttributeValue>>,
    ) -> Result<aws_sdk_dynamodb::operation::query::QueryOutput> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(order == Order::OldestFirst)
            .key_condition_expression("#table = :table AND begins_with(#key, :begins)")
            .expression_attribute_names("#table", TRACKER_PARTITION_KEY)
            .expression_attribute_names("#key", TRACKER_SORT_KEY)
            .expression_attribute_values(":table", AttributeValue::S(db_table.to_owned()))
            .expression_attribute_values(":begins", AttributeValue::S(begins.to_owned()))
            .set_exclusive_start_key(start);
        request.send().await.map_err(failed(format!("read the tracker of `{db_table}`")))
    }

    /// Tables that have a running or a waiting load.
    pub async fn tables_with_work(&self) -> Result<BTreeSet<String>> {
        let mut pages =
            self.client.scan().table_name(&self.table).index_name(WORK_INDEX).into_paginator().items().send();
        let mut tables = BTreeSet::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(failed("read the index of the tracker"))?;
            tables.extend(item.get(WORK_ATTRIBUTE).and_then(|value| value.as_s().ok()).cloned());
        }
        Ok(tables)
    }

    /// Sends an operator's transaction. The answer: whether it took effect; `false` when somebody was faster.
    pub async fn write(&self, transaction: &Transaction) -> Result<bool> {
        let items =
            transaction.actions.iter().map(|action| self.write_item(transaction, action)).collect::<Result<_>>()?;
        match self.client.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(true),
            Err(error) if code(&error) == "TransactionCanceledException" => Ok(false),
            Err(error) => Err(failed("write to the tracker")(error)),
        }
    }

    fn write_item(&self, transaction: &Transaction, action: &WriteAction) -> Result<TransactWriteItem> {
        let item = TransactWriteItem::builder();
        let Expression { text, names, values } = expression(action.condition())?;
        Ok(match action {
            WriteAction::Put(whole, _) => item.put(
                Put::builder()
                    .table_name(&self.table)
                    .set_item(Some(serde_dynamo::to_item(wire::encode(&transaction.table, whole))?))
                    .condition_expression(text)
                    .set_expression_attribute_names(Some(names))
                    .set_expression_attribute_values(values)
                    .build()?,
            ),
            WriteAction::Delete(key, _) => item.delete(
                Delete::builder()
                    .table_name(&self.table)
                    .key(TRACKER_PARTITION_KEY, AttributeValue::S(transaction.table.0.clone()))
                    .key(TRACKER_SORT_KEY, AttributeValue::S(key.0.clone()))
                    .condition_expression(text)
                    .set_expression_attribute_names(Some(names))
                    .set_expression_attribute_values(values)
                    .build()?,
            ),
            WriteAction::Check(..) => bail!("an operator's write checks nothing else"),
        }
        .build())
    }
}

/// A condition as DynamoDB reads it.
#[derive(Debug)]
struct Expression {
    text: &'static str,
    names: HashMap<String, String>,
    values: Option<HashMap<String, AttributeValue>>,
}

fn expression(condition: &Condition) -> Result<Expression> {
    let names = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, field)| ((*name).into(), (*field).into())).collect();
    let key = names(&[("#key", TRACKER_SORT_KEY)]);
    Ok(match condition {
        Condition::Absent => Expression { text: "attribute_not_exists(#key)", names: key, values: None },
        Condition::Present => Expression { text: "attribute_exists(#key)", names: key, values: None },
        Condition::Slot { load_id, version } => Expression {
            text: "#load = :load AND #version = :version",
            names: names(&[("#load", "load_id"), ("#version", "version")]),
            values: Some(HashMap::from([
                (":load".to_owned(), AttributeValue::S(load_id.0.clone())),
                (":version".to_owned(), AttributeValue::N(version.to_string())),
            ])),
        },
        other => bail!("an operator's write has no condition like {other:?}"),
    })
}

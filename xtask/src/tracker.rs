//! The tracker table, read only: what runs, what waits, what was loaded, what is in quarantine.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use loader_core::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY, WORK_ATTRIBUTE, WORK_INDEX};
use loader_core::tracker::item::Item;
use loader_core::tracker::wire;
use serde_json::{Map, Number, Value};

use crate::aws::{Aws, failed};

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
                found.push(wire::decode(to_json(attributes)).context("the tracker has an item that cannot be read")?);
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
}

fn to_json(attributes: HashMap<String, AttributeValue>) -> Map<String, Value> {
    attributes.into_iter().map(|(name, value)| (name, to_value(value))).collect()
}

fn to_value(value: AttributeValue) -> Value {
    match value {
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::N(text) => text.parse::<Number>().map_or(Value::Null, Value::Number),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(values) => Value::Array(values.into_iter().map(to_value).collect()),
        AttributeValue::M(object) => Value::Object(to_json(object)),
        _ => Value::Null,
    }
}

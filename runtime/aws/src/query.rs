//! Queries of one table's items, and reading their pages.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use loader_core::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY};
use loader_core::ids::DbTable;
use loader_core::tracker::item::Item;
use loader_reconcile::ports::PortResult;

use crate::attributes::decode;
use crate::{Aws, errors};

impl Aws {
    /// A strongly consistent query of one table's items. `condition` may use `#table`, `#key`, `:table` and `:from`.
    pub(crate) fn items_query(&self, table: &DbTable, condition: &str, from: String) -> QueryFluentBuilder {
        self.dynamodb
            .query()
            .table_name(&self.settings.tracker_table)
            .consistent_read(true)
            .key_condition_expression(condition)
            .expression_attribute_names("#table", TRACKER_PARTITION_KEY)
            .expression_attribute_names("#key", TRACKER_SORT_KEY)
            .expression_attribute_values(":table", AttributeValue::S(table.0.clone()))
            .expression_attribute_values(":from", AttributeValue::S(from))
    }
}

/// Reads the items of a query page by page: all of them, or `limit`, or fewer if `enough` returns true for one. A page is always read to
/// its end. The second value says whether these are all items.
pub(crate) async fn collect(
    query: QueryFluentBuilder,
    limit: usize,
    mut enough: impl FnMut(&Item) -> bool,
) -> PortResult<(Vec<Item>, bool)> {
    const OPERATION: &str = "dynamodb:Query";
    let (mut found, mut is_enough, mut start) = (Vec::new(), false, None);
    loop {
        let page = query
            .clone()
            .limit(i32::try_from(limit - found.len()).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| errors::sort(OPERATION, &error))?;
        for item in page.items.unwrap_or_default() {
            let item = decode(OPERATION, item)?;
            is_enough |= enough(&item);
            found.push(item);
        }
        start = page.last_evaluated_key;
        if start.is_none() || found.len() >= limit || is_enough {
            return Ok((found, start.is_none()));
        }
    }
}

//! A dashboard of rows: each row has a heading and widgets beside each other, each widget some metrics.

use serde_json::{Value as Json, json};

use crate::l1::{CfnDashboard, CfnDashboardProps};
use crate::scope::Scope;
use crate::value::Value;

/// Columns of a dashboard (`CloudWatch`, "Dashboard body structure and syntax").
const COLUMNS: usize = 24;
/// Height of a row.
const HEIGHT: usize = 4;

/// One row.
pub struct Row {
    /// The widgets: title, statistic, and metrics as `CloudWatch` writes them: `[namespace, name, dimension, value, …]`, where `.`
    /// repeats what stands in the same place of the metric before.
    pub widgets: Vec<(String, &'static str, Vec<Json>)>,
}

/// A `CloudWatch` dashboard.
pub struct Dashboard;

impl Dashboard {
    /// A dashboard with those rows; `${…}` in their texts is replaced at deployment.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(scope: &Scope, name: Value, rows: &[Row]) {
        let widgets: Vec<Json> = rows.iter().enumerate().flat_map(|(index, row)| widgets(index, row)).collect();
        let body = json!({ "widgets": widgets }).to_string();
        CfnDashboard::new(
            scope,
            CfnDashboardProps { DashboardName: Some(name), DashboardBody: Some(Value::sub(body)) },
        );
    }
}

fn widgets(index: usize, row: &Row) -> Vec<Json> {
    let width = COLUMNS / row.widgets.len().max(1);
    let widget = |(column, (title, statistic, metrics)): (usize, &(String, &'static str, Vec<Json>))| {
        json!({
            "type": "metric", "x": column * width, "y": index * HEIGHT, "width": width, "height": HEIGHT,
            "properties": {
                "title": title, "region": "${AWS::Region}", "stat": statistic, "period": 60, "metrics": metrics
            }
        })
    };
    row.widgets.iter().enumerate().map(widget).collect()
}

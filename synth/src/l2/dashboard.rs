//! A dashboard of rows: each row has a heading and widgets beside each other, each widget some metrics.

use serde_json::{Value as Json, json};

use crate::l1::{CfnDashboard, CfnDashboardProps};
use crate::scope::Scope;
use crate::value::Value;

/// Columns of a dashboard (`CloudWatch`, "Dashboard body structure and syntax").
const COLUMNS: usize = 24;
/// Height of a row.
const HEIGHT: usize = 5;

/// One row.
pub struct Row {
    /// Beside each other: a number that divides 24.
    pub widgets: Vec<Widget>,
}

/// Some metrics in one picture.
pub struct Widget {
    /// Heading.
    pub title: String,
    /// `Sum`, `Maximum`, …, where a metric says nothing else.
    pub statistic: &'static str,
    /// As `CloudWatch` writes them: `[namespace, name, dimension, value, …]`, where `.` repeats what stands in the same place of the metric
    /// before.
    pub metrics: Vec<Json>,
}

/// A `CloudWatch` dashboard.
pub struct Dashboard;

impl Dashboard {
    /// A dashboard with those rows; `${…}` in their texts is replaced at deployment.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(scope: &Scope, name: Value, rows: &[Row]) {
        let widgets: Vec<Json> = rows.iter().flat_map(widgets).collect();
        let body = json!({ "widgets": widgets }).to_string();
        CfnDashboard::new(
            scope,
            CfnDashboardProps { DashboardName: Some(name), DashboardBody: Some(Value::sub(body)) },
        );
    }
}

/// Widgets without a position are placed one after the other; those of a row fill it.
fn widgets(row: &Row) -> Vec<Json> {
    let width = COLUMNS / row.widgets.len().max(1);
    let widget = |widget: &Widget| {
        json!({
            "type": "metric", "width": width, "height": HEIGHT,
            "properties": {
                "title": widget.title, "region": "${AWS::Region}", "stat": widget.statistic, "metrics": widget.metrics
            }
        })
    };
    row.widgets.iter().map(widget).collect()
}

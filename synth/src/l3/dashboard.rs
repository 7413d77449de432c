//! The dashboard: a row for the loader, and a row per table.

use loader_core::contract;
use loader_core::ids::readable;
use serde_json::{Value as Json, json};

use crate::l2::{Dashboard, Row};
use crate::l3::parameters::PARAMETER_QUEUE_NAME_PREFIX;
use crate::l3::table_source::{TableSource, dead_letters_name};
use crate::scope::Scope;
use crate::value::{Value, sub_literal};

pub(super) fn add(scope: &Scope, sources: &[TableSource]) {
    let mut rows = vec![loader_row()];
    rows.extend(sources.iter().map(table_row));
    Dashboard::new(&scope.child("Dashboard"), Value::sub("${AWS::StackName}"), &rows);
}

fn loader_row() -> Row {
    let errors = contract::Function::ALL.map(|function| {
        json!(["AWS/Lambda", "Errors", "FunctionName", format!("${{AWS::StackName}}-{}", function.name())])
    });
    let stack = |name: &str| json!([contract::METRIC_NAMESPACE, name, contract::DIMENSION_STACK, "${AWS::StackName}"]);
    let quarantine = [contract::METRIC_LOADS, contract::METRIC_FAILURES, contract::METRIC_QUARANTINED].map(stack);
    Row {
        widgets: vec![
            ("oldest waiting file (ms)".to_owned(), "Maximum", vec![stack(contract::METRIC_OLDEST_WAITING)]),
            ("loads".to_owned(), "Sum", quarantine.to_vec()),
            (
                "function errors, sweeps".to_owned(),
                "Sum",
                errors.into_iter().chain([stack(contract::METRIC_SWEEPS)]).collect(),
            ),
        ],
    }
}

fn table_row(source: &TableSource) -> Row {
    let counts = [contract::METRIC_OBJECTS, contract::METRIC_FAILURES, contract::METRIC_QUARANTINED];
    let mut metrics = vec![table_metric(contract::METRIC_OLDEST_WAITING, source)];
    if let Some(Json::Array(first)) = metrics.first_mut() {
        first.push(json!({ "stat": "Maximum", "yAxis": "right", "label": "oldest waiting (ms)" }));
    }
    metrics.extend(counts.map(|name| json!([".", name, ".", ".", ".", "."])));
    let queue = |name: &str| format!("${{{PARAMETER_QUEUE_NAME_PREFIX}}}{name}");
    let messages = "ApproximateNumberOfMessagesVisible";
    Row {
        widgets: vec![
            (sub_literal(&readable(&source.table().0)), "Sum", metrics),
            (
                format!("queue {}", source.name()),
                "Maximum",
                vec![
                    json!(["AWS/SQS", messages, "QueueName", queue(source.name())]),
                    json!([".", ".", ".", queue(&dead_letters_name(source.name()))]),
                ],
            ),
        ],
    }
}

fn table_metric(name: &str, source: &TableSource) -> Json {
    json!([
        contract::METRIC_NAMESPACE,
        name,
        contract::DIMENSION_STACK,
        "${AWS::StackName}",
        contract::DIMENSION_TABLE,
        source.table().0,
    ])
}

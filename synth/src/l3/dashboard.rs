//! The dashboard: how fresh the data is, what goes wrong, and a row per table.

use loader_core::contract;
use loader_core::ids::readable;
use serde_json::{Value as Json, json};

use crate::l2::{Dashboard, Repeated, Row, Widget};
use crate::l3::shared::Shared;
use crate::l3::table_source::TableSource;
use crate::names::{LogicalId, Parameter, SHARED_DEAD_LETTERS, function_name};
use crate::queue_name::dead_letters_name;
use crate::scope::Scope;
use crate::value::{Value, sub_literal};

pub(super) fn add(scope: &Scope, shared: Option<&Shared>, sources: &[TableSource]) {
    let words = |source: &TableSource| {
        let table = &source.table().0;
        vec![readable(table), table.clone(), dead_letters_name(source.fed_by())]
    };
    let rows = Repeated { row: table_row(shared), words: sources.iter().map(words).collect() };
    let name = Value::sub("${AWS::StackName}");
    Dashboard::new(&scope.child(LogicalId::Dashboard.name()), name, &[data_row(), loader_row(shared)], &rows);
}

fn widget(title: &str, left: &'static str, metrics: Vec<Json>) -> Widget {
    Widget { title: title.to_owned(), left, right: "", statistic: "Sum", metrics }
}

/// Metrics of the whole stack: name, label and statistic. An empty statistic stands for the widget's.
fn of_stack(metrics: &[(&str, &str, &str)]) -> Vec<Json> {
    let mut of_stack: Vec<Json> = Vec::new();
    for (name, label, statistic) in metrics {
        let mut options = json!({ "label": label });
        if !statistic.is_empty() {
            options["stat"] = json!(statistic);
        }
        of_stack.push(if of_stack.is_empty() {
            json!([contract::METRIC_NAMESPACE, name, contract::DIMENSION_STACK, "${AWS::StackName}", options])
        } else {
            json!([".", name, ".", ".", options])
        });
    }
    of_stack
}

/// Freshness of the data: which tables are late, how long files took, how many wait.
fn data_row() -> Row {
    let (namespace, stack, table) = (contract::METRIC_NAMESPACE, contract::DIMENSION_STACK, contract::DIMENSION_TABLE);
    let late = contract::METRIC_SECONDS_LATE;
    let of_tables = format!("{{{namespace},{stack},{table}}} MetricName=\"{late}\" {stack}=\"${{AWS::StackName}}\"");
    let label = sub_literal(&format!("${{PROP('Dim.{table}')}}"));
    let late_tables = json!([{ "expression": format!("SEARCH('{of_tables}', 'Maximum', 60)"), "label": label }]);
    let freshness = [("half", "p50"), ("nine of ten", "p90"), ("slowest", "Maximum")];
    let freshness = freshness.map(|(label, statistic)| (contract::METRIC_FRESHNESS, label, statistic));
    let mut backlog = of_stack(&[
        (contract::METRIC_WAITING, "files", "Maximum"),
        (contract::METRIC_OLDEST_WAITING, "oldest waits (right)", "Maximum"),
    ]);
    backlog[1][4]["yAxis"] = json!("right");
    Row {
        widgets: vec![
            widget("Late tables: none, if this is empty", "seconds late", vec![late_tables]),
            widget("Freshness: file recorded to rows committed", "milliseconds", of_stack(&freshness)),
            Widget { right: "milliseconds", ..widget("Backlog", "files", backlog) },
        ],
    }
}

/// What can delay the data: failures, stuck tables, errors of functions, dead letters.
fn loader_row(shared: Option<&Shared>) -> Row {
    let errors = contract::Function::ALL.map(|function| {
        let name = function_name("${AWS::StackName}", function);
        json!(["AWS/Lambda", "Errors", "FunctionName", name, { "label": function.name() }])
    });
    let failures = [
        (contract::METRIC_LOADS, "loads", ""),
        (contract::METRIC_FAILURES, "failed attempts", ""),
        (contract::METRIC_QUARANTINED, "quarantined files", ""),
        (contract::METRIC_REFUSED, "refused messages", ""),
    ];
    let waits = [(contract::METRIC_STUCK, "stuck tables", "Maximum"), (contract::METRIC_SWEEPS, "sweeps", "")];
    let given_up = shared.map(|_| given_up(&format!("${{{SHARED_DEAD_LETTERS}.QueueName}}")));
    Row {
        widgets: vec![
            widget("Loads and failures, each minute", "", of_stack(&failures)),
            widget("Stuck tables, and the sweep of each minute", "", of_stack(&waits)),
            widget("Errors of functions, messages given up", "", errors.into_iter().chain(given_up).collect()),
        ],
    }
}

/// The row of a table: on the left axis how long its files wait and took, on the right axis how many there are and what became of them. Its
/// words are the table's readable name, its key, and the name of its dead-letter queue. A shared dead-letter queue is in the loader's row.
fn table_row(shared: Option<&Shared>) -> Row {
    let [title, table, dead_letters] = [0, 1, 2].map(Repeated::word);
    let dead_letters = format!("${{{}}}{dead_letters}", Parameter::QueueNamePrefix.name());
    let mut metrics = vec![json!([
        contract::METRIC_NAMESPACE,
        contract::METRIC_OLDEST_WAITING,
        contract::DIMENSION_STACK,
        "${AWS::StackName}",
        contract::DIMENSION_TABLE,
        table,
        { "stat": "Maximum", "label": "oldest waits (ms)" }
    ])];
    let more = [
        (contract::METRIC_FRESHNESS, "p90", "left", "freshness p90 (ms)"),
        (contract::METRIC_WAITING, "Maximum", "right", "waiting"),
        (contract::METRIC_OBJECTS, "Sum", "right", "loaded"),
        (contract::METRIC_FAILURES, "Sum", "right", "failed attempts"),
        (contract::METRIC_QUARANTINED, "Sum", "right", "quarantined"),
    ];
    metrics.extend(more.map(|(name, statistic, side, label)| {
        json!([".", name, ".", ".", ".", ".", { "stat": statistic, "yAxis": side, "label": label }])
    }));
    metrics.extend(shared.is_none().then(|| given_up(&dead_letters)));
    let widget = Widget { title, left: "milliseconds", right: "files", statistic: "Sum", metrics };
    Row { widgets: vec![widget] }
}

fn given_up(dead_letters: &str) -> Json {
    let label = json!({ "stat": "Maximum", "yAxis": "right", "label": "given up" });
    json!(["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", dead_letters, label])
}

//! The dashboard: how fresh the data is, what goes wrong, what it costs, and a row per table.

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
    let bill = sources.iter().any(TableSource::is_paced).then(bill_row);
    let top: Vec<Row> = [data_row(), loader_row(shared)].into_iter().chain(bill).collect();
    Dashboard::new(&scope.child(LogicalId::Dashboard.name()), name, &top, &rows);
}

fn widget(title: &str, left: &'static str, metrics: Vec<Json>) -> Widget {
    Widget { title: title.to_owned(), left, right: "", statistic: "Sum", metrics }
}

/// Metrics of the whole stack: name, label and statistic. An empty statistic means the widget's.
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

/// A metric of every table or warehouse, by the name of that dimension.
fn search(dimension: &str, metric: &str, statistic: &str) -> String {
    let (namespace, stack) = (contract::METRIC_NAMESPACE, contract::DIMENSION_STACK);
    let of = format!("{{{namespace},{stack},{dimension}}} MetricName=\"{metric}\" {stack}=\"${{AWS::StackName}}\"");
    format!("SEARCH('{of}', '{statistic}', 60)")
}

/// A line for each of them, with its name before the label.
fn of_each(dimension: &str, label: &str, expression: &str) -> Json {
    let label = format!("{}{label}", sub_literal(&format!("${{PROP('Dim.{dimension}')}}")));
    json!({ "expression": expression, "label": label })
}

/// What loading costs the warehouses, where a queue names a warehouse's file. A minute in which a load ran counts as awake, however many
/// ran in it. The lines add up over the time shown; a wake is a rise and a fall.
fn bill_row() -> Row {
    let warehouse = contract::DIMENSION_WAREHOUSE;
    let each_minute = |metric| format!("FILL({}, 0)", search(warehouse, metric, "Maximum"));
    let (awake, dollars) = (each_minute(contract::METRIC_SECONDS_AWAKE), each_minute(contract::METRIC_DOLLARS));
    let minutes = of_each(warehouse, " minutes", &format!("RUNNING_SUM({awake}) / 60"));
    let mut wakes = of_each(warehouse, " wakes (right)", &format!("RUNNING_SUM(ABS(DIFF({awake}))) / 120"));
    wakes["yAxis"] = json!("right");
    let dollars = of_each(warehouse, "", &format!("RUNNING_SUM({dollars})"));
    let at_once = each_minute(contract::METRIC_DOLLARS_AT_ONCE);
    let at_once = of_each(warehouse, " if loaded at once", &format!("RUNNING_SUM({at_once})"));
    let loads = of_each(warehouse, "", &search(warehouse, contract::METRIC_LOADS, "Sum"));
    let awake = "Warehouse awake for loads: total over the time shown (estimate)";
    Row {
        widgets: vec![
            Widget { right: "wakes", ..widget(awake, "minutes", vec![json!([minutes]), json!([wakes])]) },
            widget(
                "Price of these minutes: total over the time shown",
                "dollars",
                vec![json!([dollars]), json!([at_once])],
            ),
            widget("Loads of each warehouse per minute", "loads", vec![json!([loads])]),
        ],
    }
}

/// Freshness of the data: which tables are late, how long files took, how many wait.
fn data_row() -> Row {
    let table = contract::DIMENSION_TABLE;
    let late_tables = of_each(table, "", &search(table, contract::METRIC_SECONDS_LATE, "Maximum"));
    let freshness = [("p50", "p50"), ("p90", "p90"), ("longest", "Maximum")];
    let freshness = freshness.map(|(label, statistic)| (contract::METRIC_FRESHNESS, label, statistic));
    let mut backlog = of_stack(&[
        (contract::METRIC_WAITING, "files", "Maximum"),
        (contract::METRIC_OLDEST_WAITING, "oldest file's wait (right)", "Maximum"),
    ]);
    backlog[1][4]["yAxis"] = json!("right");
    Row {
        widgets: vec![
            widget("Late tables (empty if none is late)", "seconds late", vec![json!([late_tables])]),
            widget("Freshness: file created to rows committed", "milliseconds", of_stack(&freshness)),
            Widget { right: "milliseconds", ..widget("Backlog", "files", backlog) },
        ],
    }
}

/// The calls of the functions for each loaded file, over the time shown.
fn calls_per_file() -> [Json; 3] {
    let hidden = |name: &str, id: &str| json!([".", name, ".", ".", { "id": id, "visible": false }]);
    let quotient = "RUNNING_SUM(c) / RUNNING_SUM(f)";
    let per_file = json!([{ "expression": quotient, "label": "AWS calls per file" }]);
    [hidden(contract::METRIC_CALLS, "c"), hidden(contract::METRIC_OBJECTS, "f"), per_file]
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
    let loads = of_stack(&failures).into_iter().chain(calls_per_file()).collect();
    let waits = [(contract::METRIC_STUCK, "stuck tables", "Maximum"), (contract::METRIC_SWEEPS, "sweeps", "")];
    let shared_letters = shared.map(|_| messages_in(&format!("${{{SHARED_DEAD_LETTERS}.QueueName}}")));
    Row {
        widgets: vec![
            widget("Loads and failures per minute", "", loads),
            widget("Stuck tables, and sweeps per minute", "", of_stack(&waits)),
            widget("Function errors and dead letters", "", errors.into_iter().chain(shared_letters).collect()),
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
        { "stat": "Maximum", "label": "oldest file's wait (ms)" }
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
    metrics.extend(shared.is_none().then(|| messages_in(&dead_letters)));
    let widget = Widget { title, left: "milliseconds", right: "files", statistic: "Sum", metrics };
    Row { widgets: vec![widget] }
}

fn messages_in(queue: &str) -> Json {
    let label = json!({ "stat": "Maximum", "yAxis": "right", "label": "dead letters" });
    json!(["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, label])
}

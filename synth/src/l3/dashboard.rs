//! The dashboard: a row for the loader, and a row per table.

use loader_core::contract;
use loader_core::ids::readable;
use serde_json::{Value as Json, json};

use crate::l2::{Dashboard, Repeated, Row, Widget};
use crate::l3::shared::Shared;
use crate::l3::table_source::TableSource;
use crate::names::{LogicalId, Parameter, SHARED_DEAD_LETTERS, function_name};
use crate::queue_name::dead_letters_name;
use crate::scope::Scope;
use crate::value::Value;

pub(super) fn add(scope: &Scope, shared: Option<&Shared>, sources: &[TableSource]) {
    let words = |source: &TableSource| {
        let table = &source.table().0;
        vec![readable(table), table.clone(), dead_letters_name(source.fed_by())]
    };
    let rows = Repeated { row: table_row(shared), words: sources.iter().map(words).collect() };
    let name = Value::sub("${AWS::StackName}");
    Dashboard::new(&scope.child(LogicalId::Dashboard.name()), name, &loader_row(shared), &rows);
}

fn loader_row(shared: Option<&Shared>) -> Row {
    let errors = contract::Function::ALL
        .map(|function| json!(["AWS/Lambda", "Errors", "FunctionName", function_name("${AWS::StackName}", function)]));
    let stack = |name: &str| json!([contract::METRIC_NAMESPACE, name, contract::DIMENSION_STACK, "${AWS::StackName}"]);
    let loads = [contract::METRIC_LOADS, contract::METRIC_FAILURES, contract::METRIC_QUARANTINED].map(stack);
    let given_up = shared.map(|_| given_up(&format!("${{{SHARED_DEAD_LETTERS}.QueueName}}")));
    let functions = errors.into_iter().chain([stack(contract::METRIC_SWEEPS)]).chain(given_up).collect();
    let widget = |title: &str, statistic, metrics| Widget { title: title.to_owned(), statistic, metrics };
    Row {
        widgets: vec![
            widget("oldest waiting file (ms)", "Maximum", vec![stack(contract::METRIC_OLDEST_WAITING)]),
            widget("loads", "Sum", loads.to_vec()),
            widget("function errors, sweeps", "Sum", functions),
        ],
    }
}

/// How long files wait on the right; on the left what became of them, and the messages that are stuck. Its words are the table for
/// people, the table, the name of the dead-letter queue; a shared one is in the loader's row.
fn table_row(shared: Option<&Shared>) -> Row {
    let [title, table, dead_letters] = [0, 1, 2].map(Repeated::word);
    let counts = [contract::METRIC_OBJECTS, contract::METRIC_FAILURES, contract::METRIC_QUARANTINED];
    let dead_letters = format!("${{{}}}{dead_letters}", Parameter::QueueNamePrefix.name());
    let mut metrics = vec![json!([
        contract::METRIC_NAMESPACE,
        contract::METRIC_OLDEST_WAITING,
        contract::DIMENSION_STACK,
        "${AWS::StackName}",
        contract::DIMENSION_TABLE,
        table,
        { "stat": "Maximum", "yAxis": "right" }
    ])];
    metrics.extend(counts.map(|name| json!([".", name, ".", ".", ".", "."])));
    metrics.extend(shared.is_none().then(|| given_up(&dead_letters)));
    Row { widgets: vec![Widget { title, statistic: "Sum", metrics }] }
}

fn given_up(dead_letters: &str) -> Json {
    json!(["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", dead_letters])
}

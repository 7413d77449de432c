//! A dashboard of rows, each with widgets side by side.
//!
//! Rows that differ only in a few words share their text: each part they have in common is a variable of the `Fn::Sub` that is the body.
//! Otherwise the rows of ten tables would take an eighth of the 51,200 bytes of a template.

use serde_json::{Map, Value as Json, json};

use crate::l1::{CfnDashboard, CfnDashboardProps};
use crate::scope::Scope;
use crate::value::{Value, sub_literal};

/// Columns of a dashboard (`CloudWatch`, "Dashboard body structure and syntax").
const COLUMNS: usize = 24;
/// Height of a widget in grid units, 1 to 1,000 (`CloudWatch`, "Dashboard body structure and syntax").
const HEIGHT: usize = 5;
/// Widgets of a dashboard (`CloudWatch`, quotas).
const WIDGETS_MAX: usize = 500;
/// Metrics of all widgets of a dashboard (`CloudWatch`, quotas).
const METRICS_MAX: usize = 2_500;
/// Texts shorter than this are not worth a variable.
const SHARED_CHARACTERS_MIN: usize = 20;

/// Widgets side by side, all of the same size.
pub struct Row {
    /// The widgets from left to right; their number must divide 24.
    pub widgets: Vec<Widget>,
}

/// A graph of one or more metrics.
pub struct Widget {
    /// Heading of the graph.
    pub title: String,
    /// Unit of the left axis; empty if that is obvious.
    pub left: &'static str,
    /// Unit of the right axis; empty if no metric has `"yAxis": "right"`.
    pub right: &'static str,
    /// Default statistic of the metrics: `Sum`, `Maximum`, ….
    pub statistic: &'static str,
    /// The metrics as `CloudWatch` expects them: `[namespace, name, dimension, value, …]`, where `.` repeats the same position of the previous
    /// metric.
    pub metrics: Vec<Json>,
}

/// Rows that differ only in some words: one row for each list of words.
pub struct Repeated {
    /// The row, with [`Self::word`] in place of each word.
    pub row: Row,
    /// For each row, its words by number.
    pub words: Vec<Vec<String>>,
}

impl Repeated {
    /// The placeholder in the row for the word with this number.
    pub fn word(number: u8) -> String {
        format!("\u{1}{number}\u{1}")
    }
}

/// A dashboard of the stack. It has no handle, because nothing refers to it.
pub struct Dashboard;

impl Dashboard {
    /// Adds a dashboard with the rows of `top` above those of `repeated`. `${…}` in the text of a row is replaced at deployment; words are literal.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(scope: &Scope, name: Value, top: &[Row], repeated: &Repeated) {
        check(scope, top, repeated);
        let mut shared = Vec::new();
        let pieces = pieces(&row_text(&repeated.row), &mut shared);
        let rows = repeated.words.iter().map(|words| fill(&pieces, words));
        let widgets: Vec<String> = top.iter().map(row_text).chain(rows).collect();
        let body = format!("{{\"widgets\":[{}]}}", widgets.join(","));
        let body = if repeated.words.is_empty() { Value::sub(body) } else { Value::SubWith(body, shared) };
        CfnDashboard::new(scope, CfnDashboardProps { DashboardName: Some(name), DashboardBody: Some(body) });
    }
}

fn check(scope: &Scope, top: &[Row], repeated: &Repeated) {
    let metrics = |row: &Row| row.widgets.iter().map(|widget| widget.metrics.len()).sum::<usize>();
    let rows = repeated.words.len();
    let n_widgets = top.iter().map(|row| row.widgets.len()).sum::<usize>() + rows * repeated.row.widgets.len();
    let n_metrics = top.iter().map(metrics).sum::<usize>() + rows * metrics(&repeated.row);
    if n_widgets > WIDGETS_MAX || n_metrics > METRICS_MAX {
        scope.problem(format!(
            "`{n_widgets}` widgets with `{n_metrics}` metrics: a dashboard has {WIDGETS_MAX} with {METRICS_MAX}, so deploy two stacks"
        ));
    }
}

/// The JSON of a row's widgets. They have no positions: `CloudWatch` places them one after the other, and those of a row fill its width.
fn row_text(row: &Row) -> String {
    let width = COLUMNS / row.widgets.len().max(1);
    let widget = |widget: &Widget| {
        let sides = [("left", widget.left), ("right", widget.right)].into_iter().filter(|(_, label)| !label.is_empty());
        let axis = |label: &str| json!({"label": label, "min": 0});
        let sides: Map<String, Json> = sides.map(|(side, label)| (side.to_owned(), axis(label))).collect();
        let mut widget = json!({
            "type": "metric", "width": width, "height": HEIGHT,
            "properties": {
                "title": widget.title, "region": "${AWS::Region}", "stat": widget.statistic, "period": 60,
                "metrics": widget.metrics
            }
        });
        if !sides.is_empty() {
            widget["properties"]["yAxis"] = sides.into();
        }
        widget.to_string()
    };
    row.widgets.iter().map(widget).collect::<Vec<_>>().join(",")
}

/// A part of a repeated row.
enum Piece {
    /// The same in all rows.
    Text(String),
    /// The word with this number.
    Word(usize),
}

/// Splits a row at its words. A text that is long enough becomes a variable: the piece contains its name, and `shared` its text.
fn pieces(row: &str, shared: &mut Vec<(String, Value)>) -> Vec<Piece> {
    // The control character on either side of the number, as JSON escapes it.
    let parts = row.split("\\u0001").enumerate();
    let piece = |(index, part): (usize, &str)| match part.parse() {
        Ok(number) if index % 2 == 1 => Piece::Word(number),
        _ if part.len() < SHARED_CHARACTERS_MIN => Piece::Text(part.to_owned()),
        _ => {
            let name = format!("R{}", shared.len());
            shared.push((name.clone(), Value::sub(part)));
            Piece::Text(format!("${{{name}}}"))
        }
    };
    parts.map(piece).collect()
}

fn fill(pieces: &[Piece], words: &[String]) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Word(number) => {
            let quoted = Json::from(words[*number].as_str()).to_string();
            // The row already contains the quotes.
            sub_literal(&quoted[1..quoted.len() - 1])
        }
    };
    pieces.iter().map(text).collect()
}

//! The bulk request: whole folders, loaded through the same tracker, slot and ledger as microbatches.

mod queue;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::{LoadConfig, SourceFolder};
use crate::ids::Millis;
use crate::inventory::{self, Line};
use crate::problem::Problems;
use crate::schedule::{DatedPath, SourceCheck, TIME_ZONE_DEFAULT, check_zone};

pub use queue::{SCHEDULED_TIME_ATTRIBUTE, SCHEDULED_TIME_FIELD, is_scheduled, of_queue, scheduled, source_check};

/// One folder to load into one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkPath {
    /// As in the request, for the result. If a schedule sent the request, the dates are filled in.
    pub s3_path: String,
    /// As in the request, for the result.
    pub table: String,
    /// Bucket and key prefix; the prefix ends in `/` unless it is empty, so `dt=2021-1` is not `dt=2021-10`.
    pub folder: SourceFolder,
    /// The request's configuration with this path's options.
    pub config: Arc<LoadConfig>,
    /// Which objects of the folder to load.
    pub selection: Selection,
    /// Where to begin the listing, from an earlier result.
    pub position: Option<Position>,
    /// The order to load again what was loaded before, if the request is one.
    pub force: Option<Force>,
    /// Whether this is a source check: a new object then means that an event is missing.
    pub is_check: bool,
    /// The inventory that a source check reads; without one it lists the folder.
    pub inventory: Option<InventoryCheck>,
    /// The request with this path only and without its position, as compact JSON. It is stored while the folder is listed.
    pub request: String,
}

/// Which objects below a path are selected, and whether to record them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only objects last modified at or after this instant.
    pub since_millis: Option<Millis>,
    /// Only objects last modified before this instant.
    pub until_millis: Option<Millis>,
    /// Only count, and record nothing.
    pub dry_run: bool,
}

impl Selection {
    /// Whether an object that was last modified at this instant is selected.
    pub fn holds(&self, modified_millis: Millis) -> bool {
        self.since_millis.is_none_or(|since| modified_millis >= since)
            && self.until_millis.is_none_or(|until| modified_millis < until)
    }
}

/// A source check that reads an inventory instead of listing the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryCheck {
    /// Where the inventories of the source's bucket are published.
    pub folder: SourceFolder,
    /// Interval of the check.
    pub every: SourceCheck,
    /// The instant for which the check was scheduled.
    pub scheduled: Millis,
}

impl InventoryCheck {
    /// The objects to compare from an inventory started at this time.
    pub fn selection(&self, begun: Millis) -> Selection {
        let (since, until) = self.every.inventory_span(begun, self.scheduled);
        Selection { since_millis: Some(since), until_millis: Some(until), dry_run: false }
    }
}

/// An order to load again what the ledger records as loaded, for example after a truncate.
///
/// It names an instant, so that it can be repeated: what was loaded since, including by this order, is not loaded again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Force {
    /// What was loaded before this instant is loaded again. `None` means now, and is allowed in a dry run only.
    pub before_millis: Option<Millis>,
    /// Who gave the order, for the audit record.
    pub by: String,
    /// The reason, if given.
    pub reason: Option<String>,
}

impl Force {
    /// Reads the order from a request, if it has one.
    fn of(request: &Request, problems: &mut Problems) -> Option<Self> {
        let before_millis = match request.force.as_ref()? {
            Value::Null | Value::Bool(false) => return None,
            Value::Bool(true) if request.dry_run => None,
            Value::String(text) => Some(problems.take("force", instant(text))?),
            _ => {
                let rule = "write the instant before which the files were loaded, as in 2026-01-31T08:00:00Z";
                problems.add("force", format!("{rule}; `true` is for a dry run, whose result names the instant"));
                return None;
            }
        };
        let by = request.by.clone().unwrap_or_else(|| "a bulk request".to_owned());
        Some(Self { before_millis, by, reason: request.reason.clone() })
    }
}

/// A position in the listing of a folder or in an inventory: all objects up to it have been seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub struct Position {
    /// Key of the last object that was seen; in an inventory, of its manifest.
    pub key: String,
    /// Version of that object, in a versioned bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// In an inventory: the line that comes next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Line>,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    paths: Vec<PathPart>,
    #[serde(default)]
    copy: Value,
    #[serde(default)]
    cluster: Value,
    #[serde(default)]
    load: Value,
    #[serde(default)]
    warehouse: Value,
    since: Option<String>,
    until: Option<String>,
    #[serde(default)]
    dry_run: bool,
    scheduled_time: Option<String>,
    timezone: Option<String>,
    force: Option<Value>,
    by: Option<String>,
    reason: Option<String>,
    check: Option<String>,
    inventory: Option<String>,
}

const FIELDS: [&str; 15] = [
    "paths",
    "copy",
    "cluster",
    "load",
    "warehouse",
    "since",
    "until",
    "dry_run",
    SCHEDULED_TIME_FIELD,
    "timezone",
    "force",
    "by",
    "reason",
    "check",
    "inventory",
];
#[derive(Deserialize)]
struct PathPart {
    #[serde(default)]
    s3_path: String,
    #[serde(default)]
    table: String,
    #[serde(default)]
    options: Value,
    position: Option<Position>,
}

/// When a request was scheduled, and the time zone of its dates.
struct Scheduled {
    at: Millis,
    time_zone: String,
}

impl Scheduled {
    /// `None` if no schedule sent the request; its paths are then used as they are.
    fn of(request: &Request, problems: &mut Problems) -> Option<Self> {
        let time_zone = request.timezone.clone().unwrap_or_else(|| TIME_ZONE_DEFAULT.to_owned());
        problems.take("timezone", check_zone(&time_zone));
        let at = request.scheduled_time.as_ref()?;
        let at = problems.take(SCHEDULED_TIME_FIELD, instant(at))?;
        Some(Self { at, time_zone })
    }
}

/// Reads a request and reports all problems at once. A request without paths gives an empty list.
pub fn parse(payload: &Value) -> Result<Vec<BulkPath>, Problems> {
    let mut problems = Problems::default();
    if !payload.is_object() {
        problems.add("", "not an object: see docs/configuration.md for the shape of a bulk request");
    }
    for field in payload.as_object().into_iter().flat_map(serde_json::Map::keys) {
        if !FIELDS.contains(&field.as_str()) {
            problems.add(field.clone(), format!("unknown field: the fields are {}", FIELDS.join(", ")));
        }
    }
    let request = match Request::deserialize(payload) {
        Ok(request) => request,
        Err(error) => {
            problems.add("", format!("{error}: see docs/configuration.md for the shape of a bulk request"));
            return Err(problems);
        }
    };
    let scheduled = Scheduled::of(&request, &mut problems);
    let selection = selection(&request, scheduled.as_ref(), &mut problems);
    let force = Force::of(&request, &mut problems);
    let mut read = Vec::new();
    for (index, path) in request.paths.iter().enumerate() {
        let config = config(index, path, &request, force.as_ref(), &mut problems);
        let is_check = request.check.is_some();
        let folder = folder(index, path, scheduled.as_ref(), is_check, &mut problems);
        if let (Some((s3_path, folder)), Some(config)) = (folder, config) {
            let inventory = inventory(&request, &folder, scheduled.as_ref(), &mut problems);
            let (table, position) = (path.table.clone(), path.position.clone());
            let request = with_only_path(payload, index);
            let force = force.clone();
            let path =
                BulkPath { s3_path, table, folder, config, selection, position, force, is_check, inventory, request };
            read.push(path);
        }
    }
    problems.into_result().map(|()| read)
}

/// Reads a stored request with a single path ([`BulkPath::request`]).
pub fn parse_stored(request: &str) -> Result<BulkPath, String> {
    let request = serde_json::from_str(request).map_err(|error| error.to_string())?;
    let paths = parse(&request).map_err(|problems| problems.to_string())?;
    paths.into_iter().next().ok_or_else(|| "the request has no path".to_owned())
}

/// The request with only one of its paths, without its position.
fn with_only_path(payload: &Value, index: usize) -> String {
    let mut request = payload.clone();
    let mut path = request["paths"][index].take();
    if let Some(path) = path.as_object_mut() {
        path.remove("position");
    }
    request["paths"] = json!([path]);
    request.to_string()
}

/// Reads an instant, or a day, which means its start in UTC.
pub fn instant(text: &str) -> Result<Millis, String> {
    let day = |text: &str| text.parse::<Date>().ok()?.to_zoned_datetime(TimeZone::UTC).ok().map(|day| day.timestamp());
    let instant = text.parse::<Timestamp>().ok().or_else(|| day(text));
    let instant = instant.map(Timestamp::as_millisecond);
    instant.ok_or_else(|| format!("`{text}` is not an instant: write 2026-01-31, or 2026-01-31T08:00:00Z"))
}

/// Writes an instant in the form that [`instant`] reads.
pub fn instant_text(millis: Millis) -> String {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

fn selection(request: &Request, scheduled: Option<&Scheduled>, problems: &mut Problems) -> Selection {
    let mut selection = Selection {
        since_millis: request.since.as_ref().and_then(|text| problems.take("since", instant(text))),
        until_millis: request.until.as_ref().and_then(|text| problems.take("until", instant(text))),
        dry_run: request.dry_run,
    };
    if let Some(check) = request.check.as_ref().and_then(|text| problems.take("check", SourceCheck::parse(text))) {
        match scheduled {
            Some(scheduled) => {
                let (since, until) = check.span(scheduled.at);
                // What an inventory looks back over depends on when it was begun.
                selection.since_millis = request.inventory.is_none().then_some(since);
                selection.until_millis = Some(until);
            }
            None if problems.0.is_empty() => {
                problems.add("check", "needs `scheduled_time`: the instant that it looks back from");
            }
            None => {}
        }
    }
    selection
}

/// The inventory that a source check names.
fn inventory(
    request: &Request,
    source: &SourceFolder,
    scheduled: Option<&Scheduled>,
    problems: &mut Problems,
) -> Option<InventoryCheck> {
    let text = request.inventory.as_ref()?;
    let Some(every) = request.check.as_ref().and_then(|check| SourceCheck::parse(check).ok()) else {
        problems.add("inventory", "needs `check`: only a source check reads an inventory");
        return None;
    };
    let folder = problems.take("inventory", inventory::parse_folder(text, &source.bucket))?;
    Some(InventoryCheck { folder, every, scheduled: scheduled?.at })
}

/// The path with its dates filled in, and the folder that it names.
fn folder(
    index: usize,
    path: &PathPart,
    scheduled: Option<&Scheduled>,
    is_check: bool,
    problems: &mut Problems,
) -> Option<(String, SourceFolder)> {
    let resolve = |scheduled: &Scheduled| DatedPath::parse(&path.s3_path)?.resolve(scheduled.at, &scheduled.time_zone);
    let field = format!("paths[{index}].s3_path");
    let s3_path = problems.take(&field, scheduled.map_or_else(|| Ok(path.s3_path.clone()), resolve))?;
    let mut folder = problems.take(&field, SourceFolder::parse(&s3_path))?;
    // A source check covers the queue's source, whose prefix may end within a folder's name.
    if !is_check && !folder.prefix.is_empty() && !folder.prefix.ends_with('/') {
        folder.prefix.push('/');
    }
    Some((s3_path, folder))
}

fn config(
    index: usize,
    path: &PathPart,
    request: &Request,
    force: Option<&Force>,
    problems: &mut Problems,
) -> Option<Arc<LoadConfig>> {
    let mut document = json!({"copy": request.copy, "cluster": request.cluster});
    if let Some(copy) = document["copy"].as_object_mut() {
        copy.insert("table_name".into(), json!(path.table));
    } else {
        document["copy"] = json!({"table_name": path.table});
    }
    if !document["cluster"].is_object() {
        document["cluster"] = json!({});
    }
    for (name, part) in [("options", &path.options), ("load", &request.load), ("warehouse", &request.warehouse)] {
        if !part.is_null() {
            document[name] = part.clone();
        }
    }
    if let Some(before) = force.and_then(|force| force.before_millis) {
        document["again_before_millis"] = json!(before);
    }
    let config = LoadConfig::from_value(&document);
    if let Err(found) = &config {
        for problem in &found.0 {
            let field = match problem.field.as_str() {
                "copy.table_name" => format!("paths[{index}].table"),
                field if field.starts_with("options") => format!("paths[{index}].{field}"),
                field => field.to_owned(),
            };
            if !problems.0.iter().any(|known| known.field == field) {
                problems.add(field, problem.message.clone());
            }
        }
    }
    config.ok()
}

#[cfg(test)]
mod tests;

//! `cargo xtask history`: the history of a table: its loads, its quarantine and operators' commands, ordered by time.

use anyhow::Result;
use clap::Args;
use loader_core::tracker::item::Item;
use schemars::JsonSchema;
use serde::Serialize;

use crate::ground::clock::{now_millis, period, readable};
use crate::ground::output::{Out, counted, size};
use crate::ground::stack_args::StackArgs;
use crate::loader::tracker::Kind;
use crate::operate::records::{Act, Load, Quarantine};
use crate::operate::schema::SchemaArgs;
use crate::operate::tables::Tables;

/// `cargo xtask history`
#[derive(Args, Debug)]
pub struct HistoryArgs {
    /// Table: `schema.table`, or as `status` names it
    #[arg(required_unless_present = "schema", default_value = "", hide_default_value = true)]
    table: String,
    /// How far back: a number followed by s, m, h or d
    #[arg(long, value_name = "PERIOD", default_value = "24h", value_parser = period)]
    since: i64,
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(flatten)]
    stack: StackArgs,
}

/// Something that happened to a table.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Event {
    /// A load finished.
    Load(Load),
    /// Files went to quarantine and are still there.
    Quarantine(Quarantine),
    /// An operator changed something.
    Audit(Act),
}

impl Event {
    fn of(item: &Item) -> Option<Self> {
        match item {
            Item::Loaded(history) => Some(Self::Load(history.into())),
            Item::Failed(failed) => Some(Self::Quarantine(failed.into())),
            Item::Audit(audit) => Some(Self::Audit(audit.into())),
            Item::Slot(_) | Item::Pending(_) | Item::File(_) | Item::Listing(_) => None,
        }
    }

    fn at_millis(&self) -> i64 {
        match self {
            Self::Load(load) => load.at_millis,
            Self::Quarantine(quarantine) => quarantine.at_millis.unwrap_or(0),
            Self::Audit(act) => act.at_millis,
        }
    }
}

pub async fn run(args: &HistoryArgs) -> Result<()> {
    if args.schema.is_printed::<Vec<Event>>() {
        return Ok(());
    }
    let out = args.stack.out();
    let tables = Tables::of_stack(&args.stack).await?;
    let table = tables.named(&args.table).await?;
    let times = now_millis() - args.since..=i64::MAX;
    let mut events = Vec::new();
    for kind in [Kind::Loaded, Kind::Failed, Kind::Audit] {
        let items = tables.tracker.between(&table, kind, times.clone()).await?;
        events.extend(items.iter().filter_map(Event::of));
    }
    events.sort_by_key(Event::at_millis);
    out.line(out.bold(&table));
    for event in &events {
        out.line(line(out, event));
    }
    out.line(summary(&events));
    out.result(&events)
}

fn line(out: Out, event: &Event) -> String {
    let words = match event {
        Event::Load(load) => load.summary(),
        Event::Quarantine(quarantine) => out.bad(&quarantine.summary()),
        Event::Audit(act) => out.attention(&act.summary()),
    };
    format!("{}  {words}", out.dim(&readable(event.at_millis())))
}

fn summary(events: &[Event]) -> String {
    let loads = events.iter().filter_map(|event| if let Event::Load(load) = event { Some(load) } else { None });
    let n_objects: u64 = loads.clone().map(|load| load.objects).sum();
    let n_bytes: u64 = loads.clone().map(|load| load.bytes).sum();
    let n_rows: i64 = loads.clone().filter_map(|load| load.rows).sum();
    let (loads, files) = (counted(loads.count(), "load"), counted(n_objects, "file"));
    format!("   {loads}: {files}, {}, {}", size(n_bytes), counted(n_rows, "row"))
}

#[cfg(test)]
mod tests {
    use loader_core::fit::AddedColumn;
    use loader_core::ident::Ident;
    use loader_core::ids::LoadId;
    use loader_core::tracker::item::{Audit, History, SortKey};

    use super::*;
    use crate::ground::output::Format;
    use crate::operate::schema;

    fn events() -> Vec<Event> {
        let history = History {
            key: SortKey::loaded(1_700_000_000_000, &LoadId("1".into())),
            load_id: LoadId("bbf6496f".into()),
            number: 17,
            statement_id: "s".into(),
            statement_name: None,
            manifest: "s3://m/x".into(),
            n_objects: 4,
            size_bytes: 17_000,
            rows: Some(730),
            arrival_millis: 0,
            queue_wait_millis: 400,
            load_millis: 200,
            attempts: 2,
            added: vec![AddedColumn { name: Ident::exact("more"), kind: "BIGINT".into() }],
            expires_at: 0,
        };
        let audit = Audit {
            key: SortKey::audit(1_700_000_001_000, "1"),
            by: "ada".into(),
            command: "pause".into(),
            what: "all loads".into(),
            why: Some("rebuild".into()),
            expires_at: 0,
        };
        [Item::Loaded(history), Item::Audit(audit)].iter().filter_map(Event::of).collect()
    }

    #[test]
    fn each_event_is_one_line_and_the_last_line_sums_up() {
        let out = Out::new(Format::Text);
        let lines: Vec<String> = events().iter().map(|event| line(out, event)).collect();
        let load = "2023-11-14 22:13:20  load 17 (bbf6496f): 4 files, 16.6 KB, 730 rows; waited 0.4 s, took 0.2 s, 2 attempts; added to the table: more BIGINT; statement s";
        assert_eq!(lines, [load, "2023-11-14 22:13:21  pause by ada: all loads (rebuild)"]);
        assert_eq!(summary(&events()), "   1 load: 4 files, 16.6 KB, 730 rows");
    }

    #[test]
    fn the_json_matches_its_schema() {
        schema::check_result(&events());
        schema::check_committed::<Vec<Event>>("history");
    }
}

//! Decides what became of an object version in one table, from what was read of the table. Pure.

use std::collections::{BTreeMap, BTreeSet};

use loader_core::ids::{LoadId, ObjectVersion};
use loader_core::tracker::item::{LedgerEntry, LedgerMark, Millis, PendingLoad, Quarantined, Recording, SortKey};
use loader_core::tracker::view::TableState;
use schemars::JsonSchema;
use serde::Serialize;

use crate::ground::clock::readable;
use crate::ground::output::{Out, counted, short_age};
use crate::operate::objects::Objects;
use crate::operate::records::{Act, Load, Quarantine};
use crate::operate::tables::{one_line, short_name, step};

/// What was read about some objects in one table.
#[derive(Debug)]
pub struct Known {
    pub table: String,
    /// The options that select this stack in other commands.
    pub flags: String,
    /// The selected objects.
    pub objects: Objects,
    pub state: TableState,
    pub quarantine: Vec<Quarantined>,
    pub ledger: Vec<LedgerEntry>,
    /// The loads that the ledger names, as far as the history still has them.
    pub loads: BTreeMap<LoadId, Loaded>,
    pub audits: Vec<Act>,
}

/// A finished load.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub load: Load,
    /// Size in bytes of each object in its manifest, or why the manifest cannot be read.
    pub listed: Result<BTreeMap<String, u64>, String>,
}

/// What became of one object version.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Trace {
    /// The object as `s3://bucket/key (version)`.
    pub object: String,
    /// Target table; null if no table knows the object version.
    pub table: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// When it was recorded, entered in the ledger or put into quarantine, in epoch milliseconds.
    pub at_millis: Option<i64>,
    /// The same in sentences, with what it waits for.
    pub story: Vec<String>,
    /// The invocation that recorded it; its log line names the notification. Null if that is not known.
    pub recorded: Option<Recorded>,
    /// The load that loaded it, or that contains it now.
    pub load_id: Option<String>,
    /// The load that loaded it.
    pub load: Option<Load>,
    /// Its size in bytes in the manifest of that load.
    pub listed_bytes: Option<u64>,
    /// Why it could not be loaded.
    pub quarantine: Option<Quarantine>,
}

/// The invocation that recorded an object version.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Recorded {
    /// Lambda's request id.
    pub request_id: String,
    /// When it recorded the object, in epoch milliseconds.
    pub at_millis: i64,
}

/// What became of an object version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is in the running load.
    Loading,
    /// It is waiting.
    Waiting,
    /// It is waiting, but will be dropped because it was loaded before.
    Duplicate,
    /// Its rows are committed.
    Loaded,
    /// It could not be loaded and is in quarantine.
    Quarantined,
    /// An operator removed it from quarantine without loading it.
    Dismissed,
    /// Loader 0.1 recorded it, so it is loaded or waiting.
    Accepted,
    /// No notification about it has arrived.
    NeverSeen,
}

impl Trace {
    fn new(known: &Known, object: &ObjectVersion, fate: Fate, at_millis: Option<Millis>) -> Self {
        Self {
            object: object.to_string(),
            table: Some(known.table.clone()),
            fate,
            at_millis,
            story: Vec::new(),
            recorded: None,
            load_id: None,
            load: None,
            listed_bytes: None,
            quarantine: None,
        }
    }

    /// Says which invocation recorded the object, and the command that shows the notification. The object was recorded after `since`.
    fn add_recording(
        &mut self,
        known: &Known,
        object: &ObjectVersion,
        recorded: Option<Recording>,
        since: Millis,
        now: Millis,
    ) {
        let minutes = |since: Millis| (now - since).max(0) / 60_000 + 2;
        let flags = &known.flags;
        self.story.push(if let Some(Recording { request_id, at_millis }) = &recorded {
            let (at, minutes) = (readable(*at_millis), minutes(*at_millis));
            format!("recorded {at} by request {request_id}; its SQS message, if one named it: cargo xtask logs --request {request_id} --minutes {minutes}{flags}")
        } else {
            // In single quotes, as a shell reads them.
            let (url, minutes) = (format!("s3://{}/{}", object.bucket, object.key).replace('\'', r"'\''"), minutes(since));
            format!("the invocation that recorded it is not stored; if the log still has its line: cargo xtask logs --file '{url}' --minutes {minutes}{flags}")
        });
        self.recorded = recorded.map(|Recording { request_id, at_millis }| Recorded { request_id, at_millis });
    }

    /// Whether this is the trace of this version.
    pub fn is_of(&self, object: &ObjectVersion) -> bool {
        self.object == object.to_string()
    }

    /// The text for people.
    pub fn lines(&self, out: Out) -> Vec<String> {
        let table = self.table.as_deref().map_or_else(String::new, |table| format!(" in {}", short_name(table)));
        let mut lines = vec![format!("{}{table}", out.bold(&self.object))];
        lines.extend(self.story.iter().map(|sentence| format!("   {sentence}")));
        lines
    }
}

impl Known {
    /// Operators' commands that made the ledger forget these objects, in words.
    pub fn forgotten(&self, objects: &Objects) -> Vec<String> {
        let covers = |act: &&Act| {
            let wanted = act.what.rsplit_once(": ").and_then(|(text, _)| Objects::parse(text).ok());
            act.command == "forget"
                && wanted.is_some_and(|it| it.bucket == objects.bucket && it.keys.matches(objects.keys.text()))
        };
        let acts = self.audits.iter().filter(covers);
        acts.map(|act| format!("{} {}", readable(act.at_millis), act.summary())).collect()
    }

    fn entry_of(&self, object: &ObjectVersion) -> Option<&LedgerEntry> {
        self.ledger.iter().find(|entry| entry.object == *object)
    }

    fn is_meant(&self, object: &ObjectVersion) -> bool {
        object.bucket == self.objects.bucket && self.objects.keys.matches(&object.key)
    }
}

/// The traces of all selected versions, ordered by key.
pub fn traces(known: &Known, now: Millis) -> Vec<Trace> {
    let mut found: BTreeMap<ObjectVersion, Trace> = BTreeMap::new();
    for entry in known.ledger.iter().filter(|entry| known.is_meant(&entry.object)) {
        found.insert(entry.object.clone(), of_entry(known, entry, now));
    }
    for failed in &known.quarantine {
        for waiting in failed.objects.iter().filter(|waiting| known.is_meant(&waiting.object)) {
            let recorded = known.entry_of(&waiting.object).and_then(|entry| entry.recorded.clone());
            let mut trace = of_quarantine(known, &waiting.object, failed);
            let since = trace.at_millis.unwrap_or(now);
            trace.add_recording(known, &waiting.object, recorded, since, now);
            found.insert(waiting.object.clone(), trace);
        }
    }
    for (place, pending) in known.state.backlog.iter().enumerate() {
        for waiting in pending.objects.iter().filter(|waiting| known.is_meant(&waiting.object)) {
            let before = found.get(&waiting.object).filter(|trace| trace.fate == Fate::Loaded && !pending.entered);
            let trace = of_pending(known, &waiting.object, (place, pending), before, now);
            found.insert(waiting.object.clone(), trace);
        }
    }
    found.into_values().collect()
}

fn of_entry(known: &Known, entry: &LedgerEntry, now: Millis) -> Trace {
    let at = entry.entered_millis;
    let fate = match entry.mark {
        LedgerMark::Loaded(_) => Fate::Loaded,
        LedgerMark::Quarantined => Fate::Dismissed,
        LedgerMark::Accepted => Fate::Accepted,
    };
    let mut trace = Trace::new(known, &entry.object, fate, Some(at));
    match &entry.mark {
        LedgerMark::Loaded(load_id) => {
            trace.load_id = Some(load_id.0.clone());
            tell_load(&mut trace, known.loads.get(load_id), &entry.object, load_id);
        }
        LedgerMark::Quarantined => {
            trace.story.push(format!(
                "could not be loaded ({}), and was dismissed; this version is not loaded again",
                readable(at)
            ));
        }
        LedgerMark::Accepted => {
            trace
                .story
                .push(format!("recorded by loader 0.1 {}; it is no longer waiting, so it was loaded", readable(at)));
        }
    }
    if entry.mark != LedgerMark::Accepted {
        let since = trace.load.as_ref().map_or(at, Load::recorded_millis);
        trace.add_recording(known, &entry.object, entry.recorded.clone(), since, now);
    }
    let until = entry.expires_at.saturating_mul(1000);
    trace.story.push(if until < now {
        format!(
            "the ledger remembered it until {}: notified again, this version would be loaded again",
            readable(until)
        )
    } else {
        format!("a repeated notification of this version is dropped until {}", readable(until))
    });
    trace
}

fn tell_load(trace: &mut Trace, loaded: Option<&Loaded>, object: &ObjectVersion, load_id: &LoadId) {
    let at = readable(trace.at_millis.unwrap_or(0));
    let Some(Loaded { load, listed }) = loaded else {
        trace.story.push(format!("loaded {at} by load {load_id}, which is no longer in the history"));
        return;
    };
    trace.story.push(format!("loaded {at} by {}", load.summary()));
    let (created, recorded) = (readable(load.created_millis()), readable(load.recorded_millis()));
    trace.story.push(format!("the oldest file of that load was created {created}, and recorded {recorded}"));
    let url = format!("s3://{}/{}", object.bucket, object.key);
    match listed {
        Ok(listed) => match listed.get(&url) {
            Some(bytes) => {
                trace.listed_bytes = Some(*bytes);
                trace.story.push(format!("its manifest lists it with {bytes} bytes: {}", load.manifest));
            }
            None => trace.story.push(format!(
                "its manifest does not list it, so another file of the load stood for it: {}",
                load.manifest
            )),
        },
        Err(why) => trace.story.push(format!("its manifest cannot be read: {why}")),
    }
    trace.load = Some(load.clone());
}

fn of_quarantine(known: &Known, object: &ObjectVersion, failed: &Quarantined) -> Trace {
    let at = failed.key.at_millis();
    let mut trace = Trace::new(known, object, Fate::Quarantined, at);
    let at = readable(at.unwrap_or(0));
    trace.story.push(format!("in quarantine since {at} ({}): {}", failed.class.name(), one_line(&failed.error)));
    trace.story.push(failed.remedy.clone());
    trace.quarantine = Some(failed.into());
    trace
}

fn of_pending(
    known: &Known,
    object: &ObjectVersion,
    (place, pending): (usize, &PendingLoad),
    before: Option<&Trace>,
    now: Millis,
) -> Trace {
    let at = pending.recorded_millis;
    let own: BTreeSet<&SortKey> = known.state.slot.load.iter().flat_map(|load| &load.pending_keys).collect();
    let recorded = format!("recorded {}, {} ago", readable(at), short_age(now - at));
    let running = known.state.slot.load.as_ref().filter(|_| own.contains(&pending.key));
    let fate = match (running, before) {
        (Some(_), _) => Fate::Loading,
        (None, Some(_)) => Fate::Duplicate,
        (None, None) => Fate::Waiting,
    };
    let mut trace = Trace::new(known, object, fate, Some(at));
    trace.story.push(recorded);
    trace.add_recording(known, object, pending.recording(), at, now);
    if let Some(load) = running {
        trace.load_id = Some(load.load_id.0.clone());
        trace.story.push(format!("in load {} of now, attempt {}: {}", load.load_id, load.attempt, step(&load.step)));
        return trace;
    }
    if let Some(before) = before {
        trace.load_id.clone_from(&before.load_id);
        trace.load.clone_from(&before.load);
        trace.story.extend(before.story.iter().take(1).cloned());
        trace.story.push("so it is dropped as a duplicate when its turn comes".to_owned());
    }
    trace.story.push(behind(known, place, pending, &own, now));
    trace
}

/// What delays a waiting load.
fn behind(known: &Known, place: usize, pending: &PendingLoad, own: &BTreeSet<&SortKey>, now: Millis) -> String {
    let (slot, table) = (&known.state.slot, short_name(&known.table) + &known.flags);
    let earlier = known.state.backlog[..place].iter().filter(|other| !own.contains(&other.key));
    let n_before: usize = earlier.map(|other| other.objects.len()).sum();
    if let Some(pause) = &slot.pause {
        return format!("waits because {} paused the table: cargo xtask unpause {table}", pause.by);
    }
    if let Some(load) = &slot.load {
        return format!(
            "waits for load {} ({}), with {} before it",
            load.load_id,
            step(&load.step),
            counted(n_before, "file")
        );
    }
    if pending.source.recorded.paused {
        return "waits because its table is paused: `load.paused` in the queue's file".to_owned();
    }
    if pending.not_before_millis > now {
        return format!(
            "set aside after a failure; its next turn is in {}",
            short_age(pending.not_before_millis - now)
        );
    }
    let start = pending.source.recorded.start_millis(pending.recorded_millis);
    if start > now {
        return format!("waits on purpose, for other files to share its load; for {} at most", short_age(start - now));
    }
    format!(
        "may start now, with {} before it; the sweep starts it within a minute, cargo xtask resume {table} at once",
        counted(n_before, "file")
    )
}

/// No table knows this object, or this version of it.
pub fn never_seen(
    place: &str,
    object: Option<&ObjectVersion>,
    is_there: Option<bool>,
    n_tables: usize,
    forgotten: &[String],
) -> Trace {
    let of = if n_tables == 1 { String::new() } else { format!(" by any of {n_tables} tables") };
    let mut story = vec![match is_there {
        Some(true) => {
            format!("never seen{of}, although it is in the bucket: no notification of it has arrived")
        }
        Some(false) => format!("never seen{of}, and it is not in the bucket"),
        None => format!("never seen{of}"),
    }];
    if is_there == Some(true) {
        story.push("check the bucket's notification and the queue's prefix (cargo xtask diff), and the dead-letter queues (cargo xtask status)".to_owned());
        story.push("to load it, and whatever else was missed: cargo xtask verify QUEUE --record".to_owned());
    }
    story.extend(forgotten.iter().map(|act| format!("an operator removed it from the ledger: {act}")));
    Trace {
        object: object.map_or_else(|| place.to_owned(), ToString::to_string),
        table: None,
        fate: Fate::NeverSeen,
        at_millis: None,
        story,
        recorded: None,
        load_id: None,
        load: None,
        listed_bytes: None,
        quarantine: None,
    }
}

#[cfg(test)]
mod tests;

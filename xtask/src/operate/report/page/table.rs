//! The part about one table: its loads over time, freshness, days, failures with their reasons, and operators' commands.

use maud::{Markup, html};

use super::Bounds;
use super::parts::{age, badge, columns, days, spread};
use super::timeline::{Axis, timeline};
use crate::ground::clock::readable;
use crate::ground::output::{grouped, short_age, size};
use crate::operate::records::{Act, Load, Quarantine};
use crate::operate::report::figures::TableStory;
use crate::operate::status::Health;
use crate::operate::tables::one_line;

/// Maximum number of quarantine items, files per item, loads and commands to list.
const QUARANTINE_MAX: usize = 50;
const OBJECTS_MAX: usize = 10;
const LOADS_MAX: usize = 10;
const ACTS_MAX: usize = 30;

/// Renders the part; `at` is its position, which the overview links to.
pub fn part(table: &TableStory, at: usize, is_unfolded: bool, axis: &Axis, bounds: Bounds) -> Markup {
    let now = &table.now;
    html! {
        details.table open[is_unfolded || now.health != Health::Healthy] {
            summary { h2 { (table.name()) } " " (badge(now.health)) " " span.soft { (now.state.word()) } }
            div id={ "t" (at) } {
                @if let Some(name) = &now.table { p.soft.name { (name) } }
                @if !now.advice.is_empty() { ul.advice.wrong[now.health != Health::Healthy] { @for advice in &now.advice { li { (advice) } } } }
                @if now.table.is_some() { (timeline(table, axis, bounds)) }
                (running(table, axis))
                @if !table.loads.is_empty() { div.pair { (spread(&table.freshness)) (days(&table.days)) } }
                (failures(&now.quarantine))
                (again(&table.loads))
                (acts(&table.acts))
            }
        }
    }
}

fn failures(quarantine: &[Quarantine]) -> Markup {
    html! {
        @if !quarantine.is_empty() {
            h3 { "In quarantine" }
            div.scroll { table.failures {
                (columns(&["since", "files", "reason", "what to do"], &[]))
                tbody { @for item in quarantine.iter().rev().take(QUARANTINE_MAX) { tr {
                    td.when { (item.at_millis.map(readable).unwrap_or_default()) }
                    td { (files(&item.objects)) }
                    td { b.bad { (item.class) } " " (one_line(&item.error))
                        @if let Some(id) = &item.statement_id { " " span.soft { "statement " (id) } } }
                    td { (coded(&item.remedy)) }
                } } }
            } }
            @if let Some(n_more) = more(quarantine.len(), QUARANTINE_MAX) { p.soft { (n_more) " older entries are left out." } }
        }
    }
}

/// A text whose parts between backticks are code.
fn coded(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() { @if at % 2 == 1 { code { (part) } } @else { (part) } }
    }
}

fn files(objects: &[String]) -> Markup {
    html! {
        ul.files {
            @for object in objects.iter().take(OBJECTS_MAX) { li { (object) } }
            @if let Some(n_more) = more(objects.len(), OBJECTS_MAX) { li.soft { "and " (n_more) " more" } }
        }
    }
}

/// The running load, with the error of its last failure.
fn running(table: &TableStory, axis: &Axis) -> Markup {
    let now = &table.now;
    html! {
        @if let Some(load) = &now.running {
            p { b { "Now: " } "load " (load.number) " (" (load.load_id) "), attempt " (load.attempt) ", for " (short_age(axis.to - load.since_millis)) ": "
                (one_line(&load.step)) }
        }
        @if let Some(since) = now.oldest_waiting_since_millis {
            p { b { "Waiting: " } (grouped(now.waiting_objects)) " files, " (size(now.waiting_bytes)) ", the oldest for " (short_age(axis.to - since)) }
        }
        @if let Some(pause) = &now.paused {
            p { b { "Paused" } " by " (pause.by) " since " (readable(pause.since_millis))
                @if let Some(reason) = &pause.reason { ": " (reason) } }
        }
    }
}

/// The loads that took several attempts, most attempts first.
fn again(loads: &[Load]) -> Markup {
    let mut again: Vec<&Load> = loads.iter().filter(|load| load.attempts > 1).collect();
    again.sort_by_key(|load| std::cmp::Reverse(load.attempts));
    html! {
        @if !again.is_empty() {
            h3 { "Loads that took several attempts" }
            div.scroll { table {
                (columns(&["ended", "load"], &["attempts", "files", "took"]))
                tbody { @for load in again.iter().take(LOADS_MAX) { tr {
                    td.when { (readable(load.at_millis)) }
                    td { (load.load_id) }
                    td.n { (load.attempts) }
                    td.n { (grouped(load.objects)) }
                    td.n { (age(Some(load.load_millis))) }
                } } }
            } }
            @if let Some(n_more) = more(again.len(), LOADS_MAX) { p.soft { (n_more) " more are left out." } }
            p.soft { "Why each attempt failed: " code { "cargo xtask logs --load " (again[0].load_id) } }
        }
    }
}

fn acts(acts: &[Act]) -> Markup {
    html! {
        @if !acts.is_empty() {
            h3 { "What operators did" }
            div.scroll { table {
                (columns(&["when", "who", "command", "to what", "why"], &[]))
                tbody { @for act in acts.iter().rev().take(ACTS_MAX) { tr {
                    td.when { (readable(act.at_millis)) }
                    td { (act.by) }
                    td { (act.command) }
                    td { (act.what) }
                    td { (act.why.as_deref().unwrap_or_default()) }
                } } }
            } }
            @if let Some(n_more) = more(acts.len(), ACTS_MAX) { p.soft { (n_more) " earlier ones are left out." } }
        }
    }
}

/// Number of entries beyond those shown, if any.
fn more(count: usize, shown: usize) -> Option<usize> {
    count.checked_sub(shown).filter(|n_more| *n_more > 0)
}

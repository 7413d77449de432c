//! The page of `cargo xtask report`, of a run in which something failed, as a browser shows it.

use acceptance::browser::{Browser, Scheme};
use acceptance::table::{Table, append, csv, rows};
use acceptance::world::{STACK, Setup, World, folder, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Context, Result, ensure};
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Item;
use loader_core::tracker::slot::Step;

/// Longer than the test: the table that waits for an operator still does when the page is made.
const BACKOFF_SECONDS: u32 = 600;
const TABLES: [&str; 3] = ["told", "withheld", "spoilt"];
/// A key that would be markup if it were not escaped.
const UGLY: &str = "bad <img src=x onerror=alert(1)>&\"'.csv";

fn world() -> &'static World {
    world_of(|| Setup { backoff_seconds: BACKOFF_SECONDS, ..Setup::of(TABLES.map(|name| (name, append(name)))) })
}

#[test]
fn the_page_of_a_run_with_failures_shows_each_of_them_in_a_browser() {
    let world = world();
    let page = folder().expect("a folder of its own").join("report.html");
    world.run(async {
        some_loads_and_some_failures(world).await?;
        let checkout = Checkout::named("reporting")?;
        let flags = format!("--local --stack-name {STACK} --since 1h");
        let said = checkout.must(&format!("report {flags} --html {}", page.display())).await?;
        ensure!(said.output.contains("Invalid digit") && said.output.contains("report.html"), "{said:?}");
        let report = checkout.must(&format!("report {flags} --output json")).await?.json()?;
        ensure!(
            report["totals"]["quarantined"] == 1 && report["tables"].as_array().is_some_and(|it| it.len() == 3),
            "{report}"
        );
        dismissed_is_told(&checkout, &flags).await?;
        let Some(browser) = Browser::find(folder()?.join("browser"))? else { return Ok(()) };
        let load_id = report.pointer("/tables/2/loads/0/load_id").and_then(|id| id.as_str()).context("a load")?;
        shows_everything(&browser.document(&page).await?, load_id)?;
        let [light, dark] =
            [browser.ground(&page, Scheme::Light, 1280).await?, browser.ground(&page, Scheme::Dark, 1280).await?];
        ensure!(light.iter().all(|part| *part > 200) && dark.iter().all(|part| *part < 60), "{light:?} {dark:?}");
        browser.ground(&page, Scheme::Light, 400).await.map(drop)
    });
}

/// One table loads, one has a bad file beside a good one, one waits for an operator.
async fn some_loads_and_some_failures(world: &'static World) -> Result<()> {
    let [told, withheld, spoilt] = TABLES;
    let table = Table::new(world, told, append(told)).await?;
    table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
    table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
    let table = Table::new(world, spoilt, append(spoilt)).await?;
    table.put("good.csv", csv(&["2,2026-01-01 00:00:00,b"])).await?;
    table.rest_with(&rows(&["2,2026-01-01 00:00:00,b"])).await?;
    table.put(UGLY, csv(&["two,2026-01-01 00:00:00,b"])).await?;
    table.rest_with(&rows(&["2,2026-01-01 00:00:00,b"])).await?;
    let table = Table::new(world, withheld, append(withheld)).await?;
    table.sql(&format!("DROP TABLE {withheld}")).await?;
    table.put("c.csv", csv(&["3,2026-01-01 00:00:00,c"])).await?;
    let waits = |item: &Item| {
        let step = item.load().map(|load| &load.step);
        matches!(step, Some(Step::Waiting { class: FailureClass::OperatorsTurn, .. }))
    };
    table.until("waiting for the operator", |items| items.values().any(waits)).await
}

/// The page is made already: what is in quarantine no more is among what operators did, with its reason.
async fn dismissed_is_told(checkout: &Checkout, flags: &str) -> Result<()> {
    checkout.must(&format!("dismiss spoilt --yes --reason mended --local --stack-name {STACK}")).await?;
    let report = checkout.must(&format!("report {flags} --output json")).await?.json()?;
    ensure!(report["totals"]["quarantined"] == 0, "{report}");
    let acts = report["tables"].as_array().into_iter().flatten().filter_map(|table| table["acts"].as_array()).flatten();
    let told =
        acts.filter(|act| act["command"] == "dismiss" && act["why"] == "mended").map(|act| act["what"].to_string());
    ensure!(told.collect::<Vec<_>>().concat().contains("Invalid digit"), "{report}");
    Ok(())
}

/// What is only in the title of a bar does not count.
fn shows_everything(document: &str, load_id: &str) -> Result<()> {
    let mut parts = document.split("<title>");
    let first = parts.next().unwrap_or_default();
    let rest = parts.filter_map(|part| part.split_once("</title>")).map(|(_, rest)| rest);
    let seen: String = std::iter::once(first).chain(rest).collect();
    let wanted = [
        "public.told",
        "public.withheld",
        "public.spoilt",
        "Invalid digit",
        "bad_input",
        "nonexistent table",
        "2 tables need attention",
    ];
    for wanted in wanted {
        ensure!(seen.contains(wanted), "the page does not show `{wanted}`:\n{document}");
    }
    ensure!(document.contains(load_id), "no bar of load {load_id}:\n{document}");
    for kind in ["waiting", "done", "failed"] {
        let bar = format!("<rect class=\"{kind}\" x=");
        ensure!(document.contains(&bar), "no bar `{kind}`:\n{document}");
    }
    ensure!(seen.contains("bad &lt;img src=x onerror=alert(1)&gt;&amp;"), "the file is not named:\n{document}");
    for wrong in ["<img", "<script", "http:", "https:", "<link"] {
        ensure!(!document.contains(wrong), "`{wrong}` is in the page");
    }
    Ok(())
}

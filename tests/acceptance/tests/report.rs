//! The page of `cargo xtask report` in a browser, after a run with failures.

use acceptance::browser::{Browser, Scheme};
use acceptance::steps::waits_for;
use acceptance::table::{Table, append, csv, rows};
use acceptance::world::{STACK, Setup, World, folder, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Context, Result, ensure};
use loader_core::outcome::FailureClass;

/// Longer than the test, so that the stuck table still waits when the page is generated.
const BACKOFF_SECONDS: u32 = 600;
const TABLES: [&str; 3] = ["told", "withheld", "spoilt"];
/// A key that is HTML unless it is escaped.
const UGLY: &str = "bad <img src=x onerror=alert(1)>&\"'.csv";

fn world() -> &'static World {
    world_of(|| Setup { backoff_seconds: BACKOFF_SECONDS, ..Setup::of(TABLES.map(|name| (name, append(name)))) })
}

#[test]
fn the_page_shows_every_failure_in_a_browser() {
    let world = world();
    let page = folder().expect("a separate folder").join("report.html");
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
        dismissal_is_shown(&checkout, &flags).await?;
        let Some(browser) = Browser::find(folder()?.join("browser"))? else { return Ok(()) };
        let load_id = report.pointer("/tables/2/loads/0/load_id").and_then(|id| id.as_str()).context("a load")?;
        shows_everything(&browser.document(&page).await?, load_id)?;
        let [light, dark] = [
            browser.background(&page, Scheme::Light, 1280).await?,
            browser.background(&page, Scheme::Dark, 1280).await?,
        ];
        ensure!(light.iter().all(|part| *part > 200) && dark.iter().all(|part| *part < 60), "{light:?} {dark:?}");
        browser.background(&page, Scheme::Light, 400).await.map(drop)
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
    table.until("waiting for the operator", waits_for(FailureClass::OperatorsTurn)).await
}

/// A dismissed file is no longer in quarantine, but among the operators' acts, with its reason.
async fn dismissal_is_shown(checkout: &Checkout, flags: &str) -> Result<()> {
    checkout.must(&format!("dismiss spoilt --yes --reason mended --local --stack-name {STACK}")).await?;
    let report = checkout.must(&format!("report {flags} --output json")).await?.json()?;
    ensure!(report["totals"]["quarantined"] == 0, "{report}");
    let acts = report["tables"].as_array().into_iter().flatten().filter_map(|table| table["acts"].as_array()).flatten();
    let dismissed =
        acts.filter(|act| act["command"] == "dismiss" && act["why"] == "mended").map(|act| act["what"].to_string());
    ensure!(dismissed.collect::<Vec<_>>().concat().contains("Invalid digit"), "{report}");
    Ok(())
}

/// The page must show everything outside the titles of bars.
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
    ensure!(seen.contains("bad &lt;img src=x onerror=alert(1)&gt;&amp;"), "the file is not shown:\n{document}");
    for wrong in ["<img", "<script", "http:", "https:", "<link"] {
        ensure!(!document.contains(wrong), "`{wrong}` is in the page");
    }
    Ok(())
}

//! The page contains what it should, escapes what it must, and stays small.

use super::super::figures::tests::{UGLY, busy, report};
use super::*;

#[test]
fn the_page_shows_every_table_every_failure_and_the_cost() {
    let page = page(&report());
    for wanted in [
        "shop.sales",
        "shop.orders",
        "shop.quiet",
        "queue lost",
        "queue lost: not JSON",
        "permission denied",
        "Invalid digit",
        "bad_input",
        "mend the file &amp; upload it again: <code>cargo xtask retry TABLE</code>",
        "Loads that took several attempts",
        "What operators did",
        "rebuild",
        "2023-11-13",
        "workgroup:w",
        "2 tables need attention",
        "$0.15",
        "done after several attempts",
        "<title>2023-11-14",
        "prefers-color-scheme",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
}

#[test]
fn a_paused_table_needs_no_attention() {
    let mut report = report();
    for table in &mut report.tables {
        table.now.health = Health::Healthy;
        table.now.advice = vec!["ada paused it".to_owned()];
    }
    let page = super::page(&report);
    assert!(page.contains("No table needs attention.") && !page.contains("advice wrong"), "{page}");
}

#[test]
fn no_text_of_the_data_becomes_markup() {
    let page = page(&report());
    assert!(!page.contains("<script") && !page.contains("<b>Invalid") && !page.contains(UGLY));
    assert!(page.contains("&lt;script&gt;alert('1')&lt;/script&gt;&amp;&quot;.csv"));
    let mut report = report();
    report.tables[0].now.table = Some("workgroup:w:dev:\"><img src=x>".into());
    assert!(!super::page(&report).contains("<img"));
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let page = page(&report());
    assert!(page.contains("default-src 'none'"));
    for wrong in ["http://", "https://", "//", " src=", "@import", "url(", "<link", "<script", "href=\"/"] {
        let place = page.replace("s3://", "").find(wrong);
        assert!(place.is_none(), "{wrong} at {place:?}");
    }
}

#[test]
fn many_tables_with_thousands_of_loads_fit_a_page() {
    let page = page(&busy(300, 1_400));
    assert!(page.len() < 12_000_000, "{} bytes", page.len());
    assert!(page.contains("the first 200 of 300 tables") && page.contains("shop.t299"));
    assert_eq!(page.matches("<details").count(), TABLES_MAX);
    assert_eq!(page.matches(" open>").count(), UNFOLDED_MAX);
}

#[test]
fn a_stack_without_tables_says_so() {
    assert!(page(&busy(0, 0)).contains("No table is configured"));
    assert!(page(&busy(2, 0)).contains("shop.t1"));
}

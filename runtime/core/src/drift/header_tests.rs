//! CSV files whose header is compared: which are refused, and which are left to COPY.

use serde_json::{Value, json};

use super::tests::{AT, ID, VAL, config, table};
use super::*;
use crate::csv_header;

/// The misfit of a file with this first line, for the table (id, at, val).
fn misfit_of(header: &str, change: fn(&mut Value)) -> Option<Misfit> {
    let config = config(|value| {
        value["copy"]["options"] = json!("CSV IGNOREHEADER 1");
        value["options"] = json!({"on_schema_change": "fail"});
        change(value);
    });
    let file = csv_header::columns(header.as_bytes(), true, ',', '"').unwrap();
    judge(&config, &table(&[ID, AT, VAL]), &file).err()
}

fn error(header: &str) -> Option<String> {
    let misfit = misfit_of(header, |_| {})?;
    let begins = r#"the columns do not fit table "shop"."sales": "#;
    misfit.error.strip_prefix(begins).map(ToOwned::to_owned)
}

#[test]
fn names_for_tables_and_for_people_match() {
    assert_eq!(error("id,at,val"), None);
    assert_eq!(error("ID, At, VAL"), None);
    assert_eq!(error("Customer No.,Sold on,Remark"), None, "written for people");
    assert_eq!(error("id,Sold on,val"), None, "by position");
    assert_eq!(misfit_of("at,id,val", |value| value["copy"]["columns"] = json!(["at", "id", "val"])), None);
    assert_eq!(misfit_of("id,at", |value| value["copy"]["options"] = json!("CSV IGNOREHEADER 1 FILLRECORD")), None);
}

#[test]
fn what_is_certainly_wrong_is_refused() {
    assert_eq!(error("at,id,val").unwrap(), "other order: at, id, val in the file, id, at, val in the table");
    assert_eq!(error("id,at").unwrap(), "not in the file: `val` character varying");
    assert_eq!(error("Customer,Sold").unwrap(), "2 columns in the file, 3 to load");
    assert_eq!(error("id,at,val,more").unwrap(), "not in the table: `more` VARCHAR(65535)");
    let remedy = misfit_of("id,at,val,more", |_| {}).unwrap().remedy;
    let begins = r#"ALTER TABLE "shop"."sales" ADD COLUMN "more" VARCHAR(65535); with the type that its values have"#;
    assert!(remedy.starts_with(begins), "{remedy}");
}

//! Requests of callers, of schedules and of operators.

use super::*;

fn request(paths: &Value) -> Value {
    json!({"paths": paths, "copy": {"role_arn": "default"}, "cluster": {"identifier": "c", "db_name": "d"}})
}

#[test]
fn a_folder_is_exactly_that_folder() {
    let read = parse(&request(&json!([{"s3_path": "s3://bucket/dt=2021-1", "table": "t"}]))).unwrap();
    assert_eq!(read[0].folder.prefix, "dt=2021-1/");
    assert_eq!(read[0].config.db_table().0, "cluster:c:d:public.t");
}

#[test]
fn options_belong_to_their_path() {
    let merge = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at"});
    let read = parse(&request(&json!([
        {"s3_path": "s3://bucket/a/", "table": "a", "options": merge}, {"s3_path": "s3://bucket/b/", "table": "b"}
    ])))
    .unwrap();
    assert_ne!(read[0].config.mode, read[1].config.mode);
}

#[test]
fn no_paths_mean_no_work() {
    assert_eq!(parse(&json!({})).unwrap(), []);
    assert_eq!(parse(&json!({"paths": []})).unwrap(), []);
}

#[test]
fn since_and_until_are_instants_or_days() {
    let mut value = request(&json!([{"s3_path": "s3://bucket/a/", "table": "a", "position": {"key": "a/b"}}]));
    (value["since"], value["until"]) = (json!("2026-01-31"), json!("2026-01-31T01:00:00+01:00"));
    let read = &parse(&value).unwrap()[0];
    assert_eq!(read.selection.since_millis, Some(1_769_817_600_000));
    assert_eq!(read.selection.since_millis, read.selection.until_millis);
    assert!(!read.selection.holds(1_769_817_600_000));
    assert_eq!(read.position, Some(Position { key: "a/b".to_owned(), version_id: None, line: None }));
    value["since"] = json!("yesterday");
    assert_eq!(parse(&value).unwrap_err().0[0].field, "since");
}

#[test]
fn a_scheduled_request_means_the_folder_of_its_instant() {
    let config = LoadConfig::from_value(&json!({
        "copy": {"role_arn": "default", "table_name": "shop.sales", "options": "CSV"},
        "cluster": {"identifier": "c", "db_name": "d"},
        "source": "s3://bucket/sales/",
        "options": {"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at"},
        "load": {"write_once": true},
        "bulk": [{"schedule": "cron(0 4 * * ? *)", "s3_path": "s3://bucket/sales/dt={yesterday:%Y-%m-%d}", "timezone": "Europe/Berlin"}]
    }))
    .unwrap();
    let mut request = scheduled(&config, &config.bulk[0]);
    assert!(is_scheduled(&request) && !is_scheduled(&json!({"paths": []})));
    assert_eq!(parse(&request).unwrap_err().0[0].field, "scheduled_time", "the scheduler fills it in");
    request["scheduled_time"] = json!("2026-03-01T03:00:00Z");
    let path = &parse(&request).unwrap()[0];
    assert_eq!(path.s3_path, "s3://bucket/sales/dt=2026-02-28");
    assert_eq!(path.folder.prefix, "sales/dt=2026-02-28/");
    assert_eq!(path.config.db_table(), config.db_table());
    let of = |config: &LoadConfig| (config.mode.clone(), config.options.clone(), config.limits, config.write_once);
    assert_eq!(of(&path.config), of(&config));
    request["timezone"] = json!("Mars/Phobos");
    assert_eq!(parse(&request).unwrap_err().0[0].field, "timezone");
}

#[test]
fn an_order_to_load_again_names_an_instant_unless_it_only_counts() {
    let mut value = request(&json!([{"s3_path": "s3://bucket/a/", "table": "a"}]));
    value["force"] = json!("2026-01-31T00:00:00Z");
    (value["by"], value["reason"]) = (json!("ada"), json!("truncated"));
    let read = &parse(&value).unwrap()[0];
    let force = read.force.clone().unwrap();
    let millis = 1_769_817_600_000;
    assert_eq!(
        (force.before_millis, force.by.as_str(), force.reason.as_deref()),
        (Some(millis), "ada", Some("truncated"))
    );
    assert_eq!(read.config.again_before_millis, Some(millis));
    assert_eq!(parse_stored(&read.request).unwrap(), *read, "what is stored is the same order");
    assert_eq!(instant(&instant_text(millis)), Ok(millis));
    value["force"] = json!(true);
    assert_eq!(parse(&value).unwrap_err().0[0].field, "force", "when it is repeated, now is another instant");
    value["dry_run"] = json!(true);
    assert_eq!(parse(&value).unwrap()[0].force.as_ref().unwrap().before_millis, None);
    value["force"] = json!(false);
    assert_eq!(parse(&value).unwrap()[0].force, None);
}

#[test]
fn a_check_covers_the_queues_source_and_looks_back_from_its_instant() {
    let mut document = json!({
        "copy": {"role_arn": "default", "table_name": "shop.sales"}, "cluster": {"identifier": "c", "db_name": "d"},
        "source": "s3://bucket/sales/{x}/2026-", "source_check": {"every": "6 hours"}
    });
    let config = LoadConfig::from_value(&document).unwrap();
    let mut request = source_check(&config).unwrap();
    request["scheduled_time"] = json!("2026-03-01T06:15:00Z");
    let path = &parse(&request).unwrap()[0];
    assert!(path.is_check && is_scheduled(&request));
    assert_eq!(Some(&path.folder), config.source.as_ref(), "to the letter");
    let at = |text: &str| Some(instant(text).unwrap());
    assert_eq!(path.selection.since_millis, at("2026-02-28T06:00:00Z"));
    assert_eq!(path.selection.until_millis, at("2026-03-01T06:00:00Z"));
    assert_eq!(parse_stored(&path.request).unwrap(), *path);
    request.as_object_mut().unwrap().remove("scheduled_time");
    assert_eq!(parse(&request).unwrap_err().0[0].field, "check");
    document.as_object_mut().unwrap().remove("source");
    assert_eq!(LoadConfig::from_value(&document).unwrap_err().0[0].field, "source_check");
}

#[test]
fn a_check_that_reads_an_inventory_looks_back_from_when_that_was_begun() {
    let mut document = json!({
        "copy": {"role_arn": "default", "table_name": "shop.sales"}, "cluster": {"identifier": "c", "db_name": "d"},
        "source": "s3://bucket/sales/", "source_check": {"every": "1 day", "inventory": "s3://lists/inv/bucket/all/"}
    });
    let mut request = source_check(&LoadConfig::from_value(&document).unwrap()).unwrap();
    request["scheduled_time"] = json!("2026-03-10T06:15:00Z");
    let path = &parse(&request).unwrap()[0];
    let check = path.inventory.clone().unwrap();
    let at = |text: &str| Some(instant(text).unwrap());
    assert_eq!((check.folder.bucket.as_str(), check.folder.prefix.as_str()), ("lists", "inv/bucket/all/"));
    let selection = check.selection(instant("2026-03-09T00:00:00Z").unwrap());
    assert_eq!(selection.since_millis, at("2026-03-05T00:00:00Z"));
    assert_eq!(selection.until_millis, at("2026-03-10T06:00:00Z"));
    assert_eq!((path.selection.since_millis, path.selection.until_millis), (None, selection.until_millis));
    assert_eq!(parse_stored(&path.request).unwrap(), *path);
    request.as_object_mut().unwrap().remove("check");
    assert_eq!(parse(&request).unwrap_err().0[0].field, "inventory");
    let problem = |name: &str, value: &str| {
        let mut document = document.clone();
        document["source_check"][name] = json!(value);
        LoadConfig::from_value(&document).unwrap_err().0[0].to_string()
    };
    assert!(problem("every", "6 hours").contains("`6 hours` is shorter than an inventory's"));
    assert!(problem("inventory", "s3://lists/inv/").contains("`s3://lists/inv/`"));
    document["source"] = json!("s3://other/");
    assert!(LoadConfig::from_value(&document).unwrap_err().to_string().contains("/other/configuration/"));
}

#[test]
fn without_a_schedule_a_brace_is_a_brace() {
    let read = parse(&request(&json!([{"s3_path": "s3://bucket/{today:%Y}/", "table": "t"}]))).unwrap();
    assert_eq!(read[0].folder.prefix, "{today:%Y}/");
}

#[test]
fn problems_name_the_path() {
    let problems = parse(&request(&json!([{"s3_path": "bucket/x", "table": ""}, {"s3_path": "s3://ok-bucket/", "table": "t", "options": {"merge_pk": "a"}}]))).unwrap_err();
    let fields: Vec<_> = problems.0.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["paths[0].table", "paths[0].s3_path", "paths[1].options.merge_timestamp"]);
    assert!(parse(&json!([])).is_err());
    assert!(parse(&json!({"path": []})).is_err());
}

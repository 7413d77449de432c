//! Inventories as S3 publishes them, what is refused, and that a scan continues where another ended.

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::*;

const SCHEMA: &str = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass";

fn folder(text: &str) -> SourceFolder {
    SourceFolder::parse(text).unwrap()
}

fn manifest(files: &[Vec<u8>]) -> Value {
    let file = |(number, content): (usize, &Vec<u8>)| json!({"key": format!("inv/src/all/data/{number}.csv.gz"), "size": content.len(), "MD5checksum": "x"});
    let files: Vec<Value> = files.iter().enumerate().map(file).collect();
    json!({
        "sourceBucket": "src", "destinationBucket": "arn:aws:s3:::lists", "version": "2016-11-30",
        "creationTimestamp": "1769817600000", "fileFormat": "CSV", "fileSchema": SCHEMA, "files": files,
    })
}

fn read(manifest: &Value) -> Result<Inventory, String> {
    let text = manifest.to_string();
    let checksum = format!("{}\n", hex::encode(Md5::digest(&text)));
    Inventory::read(text.as_bytes(), checksum.as_bytes(), "src")
}

fn line(key: &str, version_id: &str, flags: [&str; 2], size: u64) -> String {
    let [latest, deleted] = flags;
    format!(
        r#""src","{key}","{version_id}","{latest}","{deleted}","{size}","2026-01-31T08:00:00.000Z","e-{key}","STANDARD""#
    )
}

fn plain(key: &str) -> String {
    line(key, "", ["true", "false"], 1)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Every object from this position on, with the position after it.
fn scanned(files: &[Vec<u8>], from: Line) -> Result<Vec<(String, Version, Line)>, String> {
    let mut scan = Scan::new(read(&manifest(files))?, folder("s3://src/in/"), from);
    let mut found = Vec::new();
    loop {
        match scan.advance()? {
            Next::Object(Listed { waiting, modified_millis }) => {
                assert_eq!((waiting.object.bucket.as_str(), modified_millis), ("src", 1_769_846_400_000));
                found.push((waiting.object.key, waiting.object.version, scan.position()));
            }
            Next::Other => {}
            Next::Part { key, from, length } => {
                let number = key.trim_start_matches("inv/src/all/data/").trim_end_matches(".csv.gz");
                let content = &files[number.parse::<usize>().unwrap()];
                let from = usize::try_from(from).unwrap();
                scan.feed(content[from..from + usize::try_from(length).unwrap()].to_vec());
            }
            Next::End => return Ok(found),
        }
    }
}

fn keys(files: &[Vec<u8>]) -> Vec<String> {
    scanned(files, Line::default()).unwrap().into_iter().map(|(key, ..)| key).collect()
}

#[test]
fn the_newest_list_is_the_one_whose_manifest_and_checksum_are_there() {
    let place = parse_folder("s3://lists/inv/src/all/", "src").unwrap();
    let of = |names: &[&str]| newest(&place, &names.iter().map(|name| format!("inv/src/all/{name}")).collect());
    let found = of(&[
        "2026-01-30T01-00Z/manifest.checksum",
        "2026-01-30T01-00Z/manifest.json",
        "2026-01-31T01-00Z/manifest.checksum",
        "2026-01-31T01-00Z/manifest.json",
        "2026-02-01T01-00Z/manifest.json",
        "data/manifest.checksum",
        "data/manifest.json",
    ]);
    assert_eq!(found.as_deref(), Some("inv/src/all/2026-01-31T01-00Z/manifest.json"));
    assert_eq!(of(&["2026-01-31T01-00Z/manifest.checksum"]), None);
    assert_eq!(key_of(&place, 1_769_817_600_000), "inv/src/all/2026-01-31T00-00Z");
}

#[test]
fn a_folder_names_the_bucket_of_the_source() {
    for text in ["s3://lists/src/all/", "s3://lists/a/b/src/all/"] {
        assert!(parse_folder(text, "src").is_ok(), "{text}");
    }
    for text in ["s3://lists/inv/src/all", "s3://lists/inv/src/", "s3://lists/inv/other/all/", "s3://lists/", "lists"] {
        assert!(parse_folder(text, "src").unwrap_err().contains("write s3://"), "{text}");
    }
}

#[test]
fn a_manifest_of_another_bucket_format_or_without_a_needed_field_is_refused() {
    let list = |name: &str, value: Value| {
        let mut manifest = manifest(&[]);
        manifest[name] = value;
        read(&manifest).map(|inventory| inventory.started_millis)
    };
    assert_eq!(list("version", json!("2030")), Ok(1_769_817_600_000));
    let error = |name: &str, value: &str| list(name, json!(value)).unwrap_err();
    assert_eq!(error("fileFormat", "Parquet"), "its format is `Parquet`: let S3 write it as CSV");
    assert!(error("sourceBucket", "other").contains("lists the bucket `other`"));
    assert_eq!(
        error("fileSchema", "Bucket, Key, Size, ETag"),
        "it has no `LastModifiedDate`: add Size, LastModifiedDate and ETag"
    );
    assert!(error("creationTimestamp", "today").contains("`today`"));
    assert!(Inventory::read(b"{}", b"00", "src").unwrap_err().contains("checksum"));
}

#[test]
fn objects_outside_of_the_source_older_versions_and_delete_markers_are_left_out() {
    let text = [
        plain("in/a+b%2Bc%25%3D%C3%BC%22%2C.csv"),
        plain("other/a.csv"),
        plain("in/_temporary/a.csv"),
        line("in/empty/", "", ["true", "false"], 0),
        line("in/versions", "v2", ["True", "FALSE"], 2),
        line("in/versions", "v1", ["false", "false"], 2),
        r#""src","in/gone","v3","true","true","","2026-01-31T08:00:00.000Z","","""#.to_owned(),
        r#""elsewhere","in/x","","true","false","1","2026-01-31T08:00:00.000Z","e","STANDARD""#.to_owned(),
        line("in/last", "null", ["", ""], 2),
    ];
    let found = scanned(&[gzip(&text.join("\n"))], Line::default()).unwrap();
    let versions: Vec<(&str, String)> =
        found.iter().map(|(key, version, _)| (key.as_str(), version.to_string())).collect();
    assert_eq!(versions.len(), 3, "{versions:?}");
    assert_eq!(versions[0].0, "in/a b+c%=ü\",.csv");
    assert_eq!(versions[1], ("in/versions", "version v2".to_owned()));
    assert_eq!(versions[2], ("in/last", "eTag e-in/last".to_owned()));
}

#[test]
fn a_scan_goes_on_at_every_line() {
    let text = |from: usize, to: usize| (from..to).map(|n| plain(&format!("in/{n}")) + "\n").collect::<String>();
    // Two members in the first file, an empty list in the second, no line at all in the third.
    let first = [gzip(&text(0, 3)), gzip(&text(3, 5))].concat();
    let files = [first, gzip(""), Vec::new(), gzip(&text(5, 9))];
    let whole = scanned(&files, Line::default()).unwrap();
    let all: Vec<String> = (0..9).map(|n| format!("in/{n}")).collect();
    assert_eq!(keys(&files), all);
    for (index, (.., after)) in whole.iter().enumerate() {
        assert_eq!(scanned(&files, *after).unwrap(), whole[index + 1..], "after {after:?}");
    }
}

#[test]
fn a_file_of_many_parts_is_read_in_pieces() {
    // Digests do not compress.
    let key = |n: u32| format!("in/{}", hex::encode(Md5::digest(n.to_le_bytes())));
    let text: String = (0..60_000).map(|n| plain(&key(n)) + "\n").collect();
    let files = [gzip(&text)];
    assert!(files[0].len() as u64 > PART_BYTES, "{}", files[0].len());
    assert_eq!(keys(&files), (0..60_000).map(key).collect::<Vec<_>>());
}

#[test]
fn what_is_cut_off_or_not_what_the_manifest_says_is_an_error() {
    let error = |content: Vec<u8>| scanned(&[content], Line::default()).unwrap_err();
    let whole = gzip(&(plain("in/a") + "\n" + &plain("in/b") + "\n"));
    let cut = error(whole[..whole.len() - 5].to_vec());
    assert!(cut.contains("`inv/src/all/data/0.csv.gz`") && cut.contains("cannot be inflated"), "{cut}");
    assert!(error(b"no gzip at all".to_vec()).contains("cannot be inflated"));
    let short = error(gzip(&(plain("in/a") + "\n\"src\",\"in/b\"\n")));
    assert_eq!(short, "line 2 of `inv/src/all/data/0.csv.gz` does not have the fields that the manifest names");
    for wrong in [plain("in/%FF"), plain("in/a\"b"), plain("in/a").replace("2026-01-31T08", "yesterday")] {
        assert!(error(gzip(&wrong)).contains("does not have the fields"), "{wrong}");
    }
    assert!(error(gzip(&"x".repeat(3 << 20))).contains("has no end"));
}

//! The program `synth`: what it writes, refuses and prints, and its exit codes.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const WEATHER: &str = include_str!("fixtures/weather.json");

/// A folder with files of these names and contents.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// Runs the program in `folder`. Returns the exit code, standard output and standard error.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_synth")).args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_template_of_a_folder_is_written_and_summarized() {
    let folder = folder(&[("weather.json", WEATHER.as_bytes()), ("README.md", b"no configuration")]);
    let arguments = ["--queues", ".", "--out", "out/t.json", "--arch", "arm64"];
    let (code, out, err) = run(folder.path(), &arguments);
    let text = fs::read_to_string(folder.path().join("out/t.json")).unwrap();
    let template: serde_json::Value = serde_json::from_str(&text).unwrap();
    let resources = template["Resources"].as_object().unwrap();
    let size = format!("{} bytes, {} resources, 1 queue", text.len(), resources.len());
    assert_eq!((code, out.as_str(), err.as_str()), (0, format!("ok out/t.json: written, {size}\n").as_str(), ""));
    assert!(resources.contains_key("WeatherQueue"), "{:?}", resources.keys());
    assert_eq!(resources["NextLoader"]["Properties"]["Architectures"], serde_json::json!(["arm64"]));
    assert_eq!(run(folder.path(), &arguments).1, format!("ok out/t.json: up to date, {size}\n"));
}

#[test]
fn check_writes_nothing_and_names_the_line_that_differs() {
    let folder = folder(&[("weather.json", WEATHER.as_bytes())]);
    let check = ["--queues", ".", "--out", "out.txt", "--check"];
    let (code, _, err) = run(folder.path(), &check);
    assert_eq!(code, 1);
    assert!(err.starts_with("error: cannot read `out.txt`, which must be the template: "), "{err}");
    assert!(err.ends_with("next: write it with the same command without --check, and commit it\n"), "{err}");
    assert!(!folder.path().join("out.txt").exists());

    assert_eq!(run(folder.path(), &check[..4]).0, 0);
    assert_eq!(run(folder.path(), &check).0, 0);
    let path = folder.path().join("out.txt");
    let changed = fs::read_to_string(&path).unwrap().replacen("Loads files", "Loads some files", 1);
    fs::write(&path, &changed).unwrap();
    let (code, out, err) = run(folder.path(), &check);
    let expected = "error: `out.txt` is not what the queue configurations and the synthesizer give: line 3 differs\n";
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with(expected), "{err}");
    assert_eq!(fs::read_to_string(&path).unwrap(), changed);
}

#[test]
fn all_problems_of_all_files_are_reported_at_once() {
    let cluster =
        br#"{"copy": {"role_arn": "default", "table_name": "t"}, "cluster": {"identifier": "A B", "db_name": "d"}}"#;
    let long = format!("{}.json", "q".repeat(61));
    let folder = folder(&[("a.json", b"{\"copy\": \"\xff\"}"), ("b.json", cluster), (&long, WEATHER.as_bytes())]);
    fs::create_dir(folder.path().join("c.json")).unwrap();
    let (code, out, err) = run(folder.path(), &["--queues", ".", "--out", "out.txt"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: 4 problems in the queue configurations:\n"), "{err}");
    assert!(err.contains("\n  ./a.json: not UTF-8 from byte 10 on: save it as UTF-8\n"), "{err}");
    assert!(err.contains("\n  ./b.json: `cluster.identifier`: `A B` is not a cluster identifier"), "{err}");
    assert!(err.contains("\n  ./c.json: cannot be read: "), "{err}");
    assert!(err.contains("is not a queue name (61 characters): 1 to 60 letters"), "{err}");
    assert!(err.ends_with("next: correct the fields named above; docs/configuration.md describes each\n"), "{err}");
    assert!(!folder.path().join("out.txt").exists());
}

#[test]
fn overlapping_folders_are_refused() {
    let inner = WEATHER.replace("/daily/", "/daily/north/");
    let folder = folder(&[("a.json", WEATHER.as_bytes()), ("b.json", inner.as_bytes())]);
    let (code, _, err) = run(folder.path(), &["--queues", ".", "--out", "out.txt"]);
    assert_eq!(code, 1);
    assert!(err.starts_with("error: 1 problem in the queue configurations:\n  ./b.json: `source`: "), "{err}");
}

#[test]
fn a_conflict_between_files_is_a_problem_of_the_template() {
    let folder = folder(&[("a.json", WEATHER.as_bytes()), ("a-dlq.json", &without_source())]);
    let (code, _, err) = run(folder.path(), &["--queues", ".", "--out", "out.txt"]);
    assert_eq!(code, 1);
    let problem = "`Loader/queues/a-dlq`: `a-dlq` is the name of another queue's dead-letter queue: give it another";
    assert!(err.starts_with(&format!("error: the template has problems:\n  {problem}\nnext: ")), "{err}");
}

#[test]
fn notes_are_printed() {
    let folder = folder(&[("a.json", &without_source())]);
    let (code, out, _) = run(folder.path(), &["--queues", ".", "--out", "out.txt"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("note: `Loader/queues/a`: names no `source`"), "{out}");
}

#[test]
fn a_template_too_long_for_a_request_is_noted() {
    let mut config: serde_json::Value = serde_json::from_slice(&without_source()).unwrap();
    let folder = folder(&[]);
    for number in 0..24 {
        config["copy"]["table_name"] = serde_json::json!(format!("t{number}"));
        fs::write(folder.path().join(format!("{number}.json")), config.to_string()).unwrap();
    }
    let (code, out, err) = run(folder.path(), &["--queues", ".", "--out", "out.txt"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("\nnote: too large for a request: deploying by hand needs `--s3-bucket BUCKET`\n"), "{out}");
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let folder = folder(&[]);
    let (code, _, err) = run(folder.path(), &["--queues", "nowhere"]);
    assert_eq!(code, 2);
    assert!(err.starts_with("error: cannot read the folder `nowhere` of the queue configurations: "), "{err}");
    assert!(err.ends_with("next: name the folder with --queues DIR\n"), "{err}");
    let (code, _, err) = run(folder.path(), &["--arch", "riscv"]);
    assert_eq!(code, 2);
    assert!(err.contains("x86_64") && err.contains("arm64"), "{err}");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = folder(&[("weather.json", WEATHER.as_bytes()), ("taken", b"")]);
    let (code, _, err) = run(folder.path(), &["--queues", ".", "--out", "taken/t.json"]);
    assert_eq!(code, 1);
    assert!(err.starts_with("error: cannot write `taken/t.json`: "), "{err}");
    assert!(err.ends_with("next: name a file that can be written with --out FILE\n"), "{err}");
}

#[test]
fn the_help_shows_examples_and_exit_codes() {
    let (code, out, _) = run(Path::new("."), &["--help"]);
    assert_eq!(code, 0);
    for word in ["cargo run -p synth -- --check", "cfn-out/loader.template.json", "Exit codes: 0 done"] {
        assert!(out.contains(word), "{word}: {out}");
    }
}

/// A valid configuration without a source.
fn without_source() -> Vec<u8> {
    let mut config: serde_json::Value = serde_json::from_str(WEATHER).unwrap();
    config.as_object_mut().unwrap().remove("source");
    config.to_string().into_bytes()
}

#[test]
fn the_folder_of_a_table_fed_by_another_queue_is_inside_that_queues_folder() {
    let feeding = |queue: &str, source: &str| {
        let mut config: serde_json::Value = serde_json::from_str(WEATHER).unwrap();
        (config["queue"], config["source"]) = (queue.into(), source.into());
        config["copy"]["table_name"] = "north".into();
        config.to_string().into_bytes()
    };
    let inside = feeding("a", "s3://example-weather/daily/north/");
    let folder = folder(&[("a.json", WEATHER.as_bytes()), ("b.json", &inside)]);
    let run_again = |content: &[u8]| {
        fs::write(folder.path().join("b.json"), content).unwrap();
        run(folder.path(), &["--queues", ".", "--out", "out.txt"])
    };
    let (code, _, err) = run_again(&inside);
    assert_eq!(code, 0, "{err}");
    let template: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("out.txt")).unwrap()).unwrap();
    let own: Vec<&String> =
        template["Resources"].as_object().unwrap().keys().filter(|id| id.starts_with('B')).collect();
    assert_eq!(own, ["BulkLoaderLogs", "BulkLoader", "BulkLoaderAsync", "BulkLoaderErrors"], "it has no queue");
    assert!(template.to_string().contains("example-weather/daily/north/*"), "the role may read its files");
    for (content, problem) in [
        (feeding("c", "s3://example-weather/daily/north/"), "./b.json: `queue`: there is no queue `c`"),
        (feeding("a", "s3://example-weather/"), "is not inside s3://example-weather/daily/ of `a`"),
        (feeding("b", "s3://example-weather/daily/north/"), "`b` is itself fed by `b`"),
        (
            WEATHER.replacen('{', "{\"feeds\": [\"a\"],", 1).into_bytes(),
            "./b.json: `feeds`: is written by the deployment",
        ),
    ] {
        let (code, _, err) = run_again(&content);
        assert!(code == 1 && err.contains(problem), "{problem}: {err}");
    }
}

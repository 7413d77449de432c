//! The template in `cfn-out/` is what `queues/*.json` synthesizes to: what is reviewed is what is deployed.

use std::fs;
use std::path::{Path, PathBuf};

use loader_core::config::LoadConfig;
use synth::{LoaderProps, QueueSource, loader_template};

#[test]
fn the_committed_template_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files: Vec<PathBuf> =
        fs::read_dir(root.join("queues")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let queue = |file: &PathBuf| QueueSource {
        name: file.file_stem().unwrap().to_str().unwrap().to_owned(),
        config: LoadConfig::parse(&fs::read_to_string(file).unwrap()).unwrap(),
    };
    let props = LoaderProps { queues: files.iter().map(queue).collect(), ..LoaderProps::default() };
    let expected = loader_template(&props).unwrap().to_json();
    let found = fs::read_to_string(root.join("cfn-out/loader.template.json")).unwrap_or_default();
    assert!(found == expected, "cfn-out/loader.template.json is out of date: run `cargo xtask synth`");
}

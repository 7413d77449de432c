//! The files that say how a warehouse is used: one per warehouse, beside the folder of the queues, named by the queues.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::queue_name::check_queue_name;
use crate::workspace::shown;

/// Field of a queue's file that names a warehouse's file.
const FIELD: &str = "warehouse";

/// The file of a warehouse, for the queues of a folder.
fn path(queue_file: &Path, name: &str) -> PathBuf {
    let folder = queue_file.parent().and_then(Path::parent).unwrap_or_else(|| Path::new(""));
    folder.join("warehouses").join(format!("{name}.json"))
}

/// Puts the content of the warehouse's file in the place of its name, where the queue's file names one. Returns whether it did.
pub fn resolve(queue_file: &Path, queue: &mut Value) -> Result<bool, String> {
    let Some(name) = queue.get(FIELD).and_then(Value::as_str).map(str::to_owned) else { return Ok(false) };
    check_queue_name(&name).map_err(|_| {
        format!("`{FIELD}`: `{name}` is not the name of a file: 1 to 60 letters, digits, `-` and `_`, as in warehouses/<name>.json")
    })?;
    let path = path(queue_file, &name);
    let text = fs::read_to_string(&path).map_err(|error| {
        format!("`{FIELD}`: {} cannot be read ({error}): create it, see docs/configuration.md", shown(&path))
    })?;
    let mut content: Value = serde_json::from_str(&text)
        .map_err(|error| format!("`{FIELD}`: {} is not JSON ({error}): write one object", shown(&path)))?;
    match content.as_object_mut() {
        Some(object) => {
            object.remove("$schema");
            object.insert("name".to_owned(), json!(name));
        }
        None => return Err(format!("`{FIELD}`: {} is not an object: write one object", shown(&path))),
    }
    queue[FIELD] = content;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_takes_the_place_of_the_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("warehouses")).unwrap();
        fs::write(folder.path().join("warehouses/w.json"), r#"{"freshness_seconds": 900}"#).unwrap();
        let file = folder.path().join("queues/sales.json");
        let mut queue = json!({"warehouse": "w"});
        assert_eq!(resolve(&file, &mut queue), Ok(true));
        assert_eq!(queue, json!({"warehouse": {"freshness_seconds": 900, "name": "w"}}));
        assert_eq!(resolve(&file, &mut queue), Ok(false), "it is there already");
    }

    #[test]
    fn a_name_without_a_file_is_told() {
        let problem = resolve(Path::new("queues/sales.json"), &mut json!({"warehouse": "w"})).unwrap_err();
        assert!(problem.contains("warehouses/w.json cannot be read"), "{problem}");
        let problem = resolve(Path::new("queues/sales.json"), &mut json!({"warehouse": "../w"})).unwrap_err();
        assert!(problem.contains("not the name of a file"), "{problem}");
    }
}

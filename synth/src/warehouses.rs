//! The files with a warehouse's settings: one per warehouse, in a folder beside that of the queues. A queue's file refers to one by name.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::queue_name::check_queue_name;
use crate::workspace::shown;

/// Field of a queue's file that contains the warehouse's name.
const FIELD: &str = "warehouse";

/// Path of a warehouse's file, for a queue's file.
fn path(queue_file: &Path, name: &str) -> PathBuf {
    let folder = queue_file.parent().and_then(Path::parent).unwrap_or_else(|| Path::new(""));
    folder.join("warehouses").join(format!("{name}.json"))
}

/// If the queue's file names a warehouse, replaces the name by the content of the warehouse's file. Returns whether it did.
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
    fn the_name_is_replaced_by_the_files_content() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("warehouses")).unwrap();
        fs::write(folder.path().join("warehouses/w.json"), r#"{"freshness_seconds": 900}"#).unwrap();
        let file = folder.path().join("queues/sales.json");
        let mut queue = json!({"warehouse": "w"});
        assert_eq!(resolve(&file, &mut queue), Ok(true));
        assert_eq!(queue, json!({"warehouse": {"freshness_seconds": 900, "name": "w"}}));
        assert_eq!(resolve(&file, &mut queue), Ok(false), "the content is already there");
    }

    #[test]
    fn a_missing_file_and_an_invalid_name_are_problems() {
        let problem = resolve(Path::new("queues/sales.json"), &mut json!({"warehouse": "w"})).unwrap_err();
        assert!(problem.contains("warehouses/w.json cannot be read"), "{problem}");
        let problem = resolve(Path::new("queues/sales.json"), &mut json!({"warehouse": "../w"})).unwrap_err();
        assert!(problem.contains("not the name of a file"), "{problem}");
    }
}

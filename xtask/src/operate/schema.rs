//! The JSON Schemas of what commands of this room print, made of the types that are printed and committed under `docs/schema`.

use schemars::JsonSchema;
use serde_json::Value;

/// Schema of a list of these.
pub fn of_list<T: JsonSchema>() -> Value {
    loader_core::schema::draft07::<Vec<T>>()
}

/// Complains where the committed schema is not this one.
#[cfg(test)]
pub fn check_committed<T: JsonSchema>(command: &str) {
    let path = format!("docs/schema/{command}.schema.json");
    let committed = std::fs::read_to_string(synth::workspace::root().join(&path)).unwrap_or_default();
    let text = format!("{:#}\n", of_list::<T>());
    assert_eq!(committed, text, "run `cargo xtask {command} --schema > {path}` and commit the file");
}

/// Complains where a result is not as the schema says, or the schema takes anything.
#[cfg(test)]
pub fn check_result<T: JsonSchema + serde::Serialize>(results: &[T]) {
    let validator = jsonschema::validator_for(&of_list::<T>()).unwrap();
    let json = serde_json::to_value(results).unwrap();
    let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(!validator.is_valid(&serde_json::json!([{"none": 1}])));
}

//! The JSON Schemas of what commands of this room print, made of the types that are printed and committed under `docs/schema`.

use schemars::JsonSchema;
use serde_json::Value;

/// Schema of a list of these.
pub fn of_list<T: JsonSchema>() -> Value {
    of::<Vec<T>>()
}

/// Schema of one of these.
pub fn of<T: JsonSchema>() -> Value {
    loader_core::schema::draft07::<T>()
}

/// Complains where the committed schema of a list is not this one.
#[cfg(test)]
pub fn check_committed<T: JsonSchema>(command: &str) {
    check_file(command, &of_list::<T>());
}

/// Complains where the committed schema of a command is not this one.
#[cfg(test)]
pub fn check_file(command: &str, schema: &Value) {
    let path = format!("docs/schema/{command}.schema.json");
    let committed = std::fs::read_to_string(synth::workspace::root().join(&path)).unwrap_or_default();
    let text = format!("{schema:#}\n");
    assert_eq!(committed, text, "run `cargo xtask {command} --schema > {path}` and commit the file");
}

/// Complains where a result is not as the schema says, or the schema takes anything.
#[cfg(test)]
pub fn check_result<T: JsonSchema + serde::Serialize>(results: &[T]) {
    let validator = check_value(&of_list::<T>(), &results);
    assert!(!validator.is_valid(&serde_json::json!([{"none": 1}])));
}

/// Complains where a value is not as the schema says. Returns what checks it.
#[cfg(test)]
pub fn check_value(schema: &Value, value: &impl serde::Serialize) -> jsonschema::Validator {
    let validator = jsonschema::validator_for(schema).unwrap();
    let json = serde_json::to_value(value).unwrap();
    let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    validator
}

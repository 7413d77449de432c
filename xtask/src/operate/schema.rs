//! The JSON Schemas of the results that this room prints. They are generated from the printed types and committed under `docs/schema`.

use std::io::Write as _;

use clap::Args;
use schemars::JsonSchema;
use serde_json::Value;

/// The option of every command whose JSON has a published schema.
#[derive(Args, Debug)]
pub struct SchemaArgs {
    /// Print the JSON Schema of the result, and nothing else
    #[arg(long)]
    schema: bool,
}

impl SchemaArgs {
    /// Prints the schema of the result `T` if it is asked for. Returns whether it was, and the command is done.
    pub fn is_printed<T: JsonSchema>(&self) -> bool {
        if self.schema {
            // A closed reader (`| head`) is not a failure of the command.
            let _ = writeln!(std::io::stdout(), "{:#}", of::<T>());
        }
        self.schema
    }
}

/// Schema of this type.
pub fn of<T: JsonSchema>() -> Value {
    loader_core::schema::draft07::<T>()
}

/// Complains where the committed schema of a command is not that of its result `T`.
#[cfg(test)]
pub fn check_committed<T: JsonSchema>(command: &str) {
    let path = format!("docs/schema/{command}.schema.json");
    let committed = std::fs::read_to_string(synth::workspace::root().join(&path)).unwrap_or_default();
    let text = format!("{:#}\n", of::<T>());
    assert_eq!(committed, text, "run `cargo xtask {command} --schema > {path}` and commit the file");
}

/// Fails if a result does not match the schema, or if the schema accepts anything.
#[cfg(test)]
pub fn check_result<T: JsonSchema + serde::Serialize>(results: &[T]) {
    let validator = check_value(&of::<Vec<T>>(), &results);
    assert!(!validator.is_valid(&serde_json::json!([{"none": 1}])));
}

/// Fails if a value does not match the schema. Returns the validator.
#[cfg(test)]
pub fn check_value(schema: &Value, value: &impl serde::Serialize) -> jsonschema::Validator {
    let validator = jsonschema::validator_for(schema).unwrap();
    let json = serde_json::to_value(value).unwrap();
    let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    validator
}

//! What a deployment changes: the stack's resources, and what CloudFormation does not manage.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::ground::aws::Aws;
use crate::ground::output::Out;
use crate::loader::connections::plan::Connections;
use crate::loader::deployment::change_set::{self, Change, ChangeSet};

/// The difference between the deployed and the desired state, in the same form before and after a deployment.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// Whether there is any difference.
    pub changed: bool,
    /// Resources of the stack.
    pub changes: Vec<Change>,
    /// Configuration files and notifications.
    #[serde(flatten)]
    pub connections: Connections,
}

impl Difference {
    /// The changes of a change set, if there is one, and of connecting the queues afterwards.
    pub fn new(set: Option<ChangeSet>, connections: Connections) -> Self {
        let changed = set.is_some() || !connections.is_empty();
        Self { changed, changes: set.map(|set| set.changes).unwrap_or_default(), connections }
    }
}

/// Prints the changes.
pub fn show(out: Out, set: Option<&ChangeSet>, connections: &Connections) {
    match set {
        Some(set) => change_set::show(out, &set.changes),
        None if connections.is_empty() => {
            out.ok("the stack is up to date: nothing changed");
        }
        None => out.ok("the stack's resources are up to date"),
    }
    connections.show(out);
}

/// The result of a dry run for a stack that does not exist yet.
pub fn of_creation(out: Out, template: &str, connections: Connections) -> Result<()> {
    let changes = Change::all_new(&serde_json::from_str(template).context("the template is JSON")?);
    change_set::show(out, &changes);
    connections.show(out);
    out.result(&Difference { changed: true, changes, connections })?;
    out.line("   nothing was changed: this was a dry run");
    Ok(())
}

/// Discards the change set of a dry run and returns the difference.
pub async fn end_dry_run(out: Out, aws: &Aws, set: Option<ChangeSet>, connections: Connections) -> Result<()> {
    if let Some(set) = &set {
        set.discard(aws).await?;
    }
    out.result(&Difference::new(set, connections))?;
    out.line("   nothing was changed: this was a dry run");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::loader::connections::plan::{Action, ConfigurationChange};

    #[test]
    fn a_changed_configuration_file_is_a_change() {
        let nothing = Difference::new(None, Connections::default());
        let expected = json!({"changed": false, "changes": [], "configurations": [], "notifications": []});
        assert_eq!(serde_json::to_value(nothing).unwrap(), expected);
        let file = ConfigurationChange { action: Action::Modify, key: "rs-loader-config/x.json".into() };
        let connections = Connections { configurations: vec![file], ..Connections::default() };
        let changed = serde_json::to_value(Difference::new(None, connections)).unwrap();
        assert_eq!(changed["changed"], true);
        assert_eq!(changed["configurations"], json!([{"action": "Modify", "key": "rs-loader-config/x.json"}]));
    }
}

//! What a deployment changes, or changed: the stack's resources, and what CloudFormation knows nothing of.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::ground::aws::Aws;
use crate::ground::output::Out;
use crate::loader::connections::plan::Connections;
use crate::loader::deployment::change_set::{self, Change, ChangeSet};

/// The difference between what is deployed and what should be; the same words before and after.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// Whether there is any.
    pub changed: bool,
    /// Resources of the stack.
    pub changes: Vec<Change>,
    /// Configuration files and notifications.
    #[serde(flatten)]
    pub connections: Connections,
}

impl Difference {
    /// Of a change set, if there is one, and of what is connected after it.
    pub fn new(set: Option<ChangeSet>, connections: Connections) -> Self {
        let changed = set.is_some() || !connections.is_empty();
        Self { changed, changes: set.map(|set| set.changes).unwrap_or_default(), connections }
    }
}

/// The list, for a person.
pub fn show(out: Out, set: Option<&ChangeSet>, connections: &Connections) {
    match set {
        Some(set) => set.show(out),
        None if connections.is_empty() => {
            out.line(format!("{} the stack is up to date: nothing changed", out.good("ok")));
        }
        None => out.line(format!("{} the stack's resources are up to date", out.good("ok"))),
    }
    connections.show(out);
}

/// Where a stack would be created; the difference is the result.
pub fn of_creation(out: Out, template: &str, connections: Connections) -> Result<()> {
    let changes = Change::all_new(&serde_json::from_str(template).context("the template is JSON")?);
    change_set::show(out, &changes);
    connections.show(out);
    out.result(&Difference { changed: true, changes, connections })?;
    out.line("   nothing was changed: this was a dry run");
    Ok(())
}

/// Takes the change set back; the difference is the result.
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

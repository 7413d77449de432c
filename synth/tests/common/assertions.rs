//! Queries and assertions on a template. Each panics with what it found, so that the failure explains itself.

use serde_json::{Map, Value as Json};

use synth::Template;

/// A template under test.
pub struct Assertions {
    json: Json,
}

/// A permission of a role: a single action on a single resource.
#[derive(Clone, Debug)]
pub struct Permission {
    /// The action.
    pub action: String,
    /// The resource, as written in the template.
    pub resource: Json,
    /// The condition, or `null`.
    pub condition: Json,
}

impl From<&Template> for Assertions {
    fn from(template: &Template) -> Self {
        Self { json: template.as_value().clone() }
    }
}

impl Assertions {
    /// The template as JSON.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// All resources.
    pub fn resources(&self) -> &Map<String, Json> {
        self.json["Resources"].as_object().expect("a template has resources")
    }

    /// The resource with a logical ID.
    pub fn resource(&self, logical_id: &str) -> &Json {
        let ids: Vec<&String> = self.resources().keys().collect();
        self.resources().get(logical_id).unwrap_or_else(|| panic!("no resource `{logical_id}`, there are {ids:?}"))
    }

    /// The properties of the resource with a logical ID.
    pub fn properties(&self, logical_id: &str) -> &Json {
        &self.resource(logical_id)["Properties"]
    }

    /// All resources of a type, with their logical IDs.
    pub fn of_type(&self, kind: &str) -> Vec<(&str, &Json)> {
        let resources = self.resources().iter().filter(|(_, resource)| resource["Type"] == kind);
        resources.map(|(id, resource)| (id.as_str(), resource)).collect()
    }

    /// Asserts that the resource has at least these properties with these values.
    pub fn has_properties(&self, logical_id: &str, expected: &Json) {
        let found = self.properties(logical_id);
        assert!(contains(found, expected), "`{logical_id}` lacks {expected:#}\nit has {found:#}");
    }

    /// The body of the dashboard, with the template's own variables replaced.
    pub fn dashboard(&self) -> Json {
        let sub = &self.properties("Dashboard")["DashboardBody"]["Fn::Sub"];
        let mut body = sub[0].as_str().unwrap().to_owned();
        for (name, value) in sub[1].as_object().unwrap() {
            body = body.replace(&format!("${{{name}}}"), value["Fn::Sub"].as_str().or(value.as_str()).unwrap());
        }
        serde_json::from_str(&body).unwrap()
    }

    /// Every single permission of every role.
    pub fn permissions(&self) -> Vec<Permission> {
        let roles = self.of_type("AWS::IAM::Role");
        let inline = roles.iter().flat_map(|(_, role)| list(&role["Properties"]["Policies"]));
        let managed =
            self.of_type("AWS::IAM::ManagedPolicy").into_iter().map(|(_, policy)| policy["Properties"].clone());
        let policies = inline.chain(managed);
        let statements: Vec<Json> = policies.flat_map(|policy| list(&policy["PolicyDocument"]["Statement"])).collect();
        let mut permissions = Vec::new();
        for statement in &statements {
            for action in list(&statement["Action"]) {
                for resource in list(&statement["Resource"]) {
                    permissions.push(Permission {
                        action: action.as_str().unwrap_or_default().to_owned(),
                        resource,
                        condition: statement["Condition"].clone(),
                    });
                }
            }
        }
        permissions
    }

    /// The resources on which roles allow `action`.
    pub fn permitted(&self, action: &str) -> Vec<Json> {
        let own = self.permissions().into_iter().filter(|permission| permission.action == action);
        own.map(|permission| permission.resource).collect()
    }

    /// The names that `Ref`, `Fn::GetAtt`, `Fn::Sub` and `Fn::If` use although the template does not contain them.
    pub fn dangling_references(&self) -> Vec<String> {
        let mut names = Vec::new();
        references(&self.json["Resources"], &mut names);
        references(&self.json["Outputs"], &mut names);
        let known = |name: &str| {
            name.starts_with("AWS::")
                || ["Resources", "Parameters", "Conditions"].iter().any(|section| !self.json[*section][name].is_null())
        };
        names.retain(|name| !known(name));
        names
    }
}

/// The items of a list. A single value, which policies may contain instead, is a list of one; `null` is empty.
pub fn list(value: &Json) -> Vec<Json> {
    match value {
        Json::Null => Vec::new(),
        Json::Array(items) => items.clone(),
        other => vec![other.clone()],
    }
}

/// Whether an object has at least the fields of another, recursively.
pub fn contains(found: &Json, expected: &Json) -> bool {
    match (found, expected) {
        (Json::Object(found), Json::Object(expected)) => {
            expected.iter().all(|(name, value)| found.get(name).is_some_and(|own| contains(own, value)))
        }
        _ => found == expected,
    }
}

fn references(value: &Json, names: &mut Vec<String>) {
    match value {
        Json::Array(items) => items.iter().for_each(|item| references(item, names)),
        Json::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("Ref", Json::String(id)) => names.push(id.clone()),
                    ("Fn::GetAtt" | "Fn::If", Json::Array(parts)) => {
                        names.extend(parts.first().and_then(Json::as_str).map(str::to_owned));
                    }
                    ("Fn::Sub", Json::String(text)) => names.extend(variables(text)),
                    ("Fn::Sub", Json::Array(parts)) => {
                        let text = parts.first().and_then(Json::as_str).unwrap_or_default();
                        let own = |name: &String| parts.get(1).is_some_and(|values| !values[name].is_null());
                        names.extend(variables(text).into_iter().filter(|name| !own(name)));
                    }
                    _ => {}
                }
                references(value, names);
            }
        }
        _ => {}
    }
}

/// The variables of a `Fn::Sub`, without attributes. `${!x}` is a literal.
fn variables(text: &str) -> Vec<String> {
    let parts = text.split("${").skip(1).filter_map(|part| part.split_once('}'));
    let names = parts.map(|(name, _)| name).filter(|name| !name.starts_with('!'));
    names.map(|name| name.split('.').next().unwrap_or(name).to_owned()).collect()
}

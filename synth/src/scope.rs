//! The tree of constructs: a [`Stack`] is its root, a [`Scope`] a place in it, a [`Resource`] a leaf.
//!
//! A construct's id is a promise: the logical id is made of the ids on the way from the root, and changing it replaces the resource.

use std::cell::RefCell;
use std::rc::Rc;

use loader_core::problem::{Problem, Problems};

use crate::logical_id;
use crate::longest::Longest;
use crate::template::Template;
use crate::tree::{Condition, Entry, OutputEntry, ParameterProps, Tree};
use crate::value::Value;

/// Root of a tree: the unit of deployment.
pub struct Stack {
    scope: Scope,
}

impl Stack {
    /// An empty stack; `name` is the first part of every path in problems and notes.
    pub fn new(name: &str) -> Self {
        let tree = Rc::new(RefCell::new(Tree::default()));
        Self { scope: Scope { tree, path: name.to_owned(), logical_id: String::new() } }
    }

    /// The root: children of it have ids without a prefix.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The template of everything that was built; or all problems, each with the path of its construct. A template that `CloudFormation`
    /// would not take is a problem of the stack.
    pub fn synth(self, description: &str) -> Result<Template, Problems> {
        let tree = self.scope.tree.take();
        tree.problems.clone().into_result()?;
        let template = Template::new(description, tree);
        template.check_size().map_err(|message| Problem { field: self.scope.path, message })?;
        Ok(template)
    }
}

/// A place in the tree, at which a construct adds its resources and its children.
#[derive(Clone)]
pub struct Scope {
    tree: Rc<RefCell<Tree>>,
    path: String,
    logical_id: String,
}

impl Scope {
    /// A child whose id is ours: letters and digits.
    #[must_use]
    pub fn child(&self, id: &str) -> Self {
        self.nested(id, id)
    }

    /// A child whose id comes from outside: any text; two different texts never share a logical id.
    #[must_use]
    pub fn child_named(&self, name: &str) -> Self {
        self.nested(name, &logical_id::part(name))
    }

    /// A child that groups others, without a part in their logical ids: constructs can be moved into it and stay what they are.
    #[must_use]
    pub fn child_root(&self, id: &str) -> Self {
        self.nested(id, "")
    }

    fn nested(&self, id: &str, logical_part: &str) -> Self {
        Self {
            tree: Rc::clone(&self.tree),
            path: format!("{}/{id}", self.path),
            logical_id: format!("{}{logical_part}", self.logical_id),
        }
    }

    /// Logical id of the resource at this place: the ids on the way from the root, joined.
    pub fn logical_id(&self) -> &str {
        &self.logical_id
    }

    /// Records a problem of the construct at this place, and goes on: [`Stack::synth`] returns all problems.
    pub fn problem(&self, message: impl Into<String>) {
        self.tree.borrow_mut().problems.add(self.path.clone(), message);
    }

    /// Records something that is right but that a person should know: see [`Template::notes`].
    pub fn note(&self, message: impl Into<String>) {
        let note = Problem { field: self.path.clone(), message: message.into() };
        self.tree.borrow_mut().notes.push(note);
    }

    /// Adds a resource of a `CloudFormation` type; its logical id is that of this place, and taken only once.
    pub fn add_resource(&self, kind: &'static str, properties: Vec<(String, Value)>) -> Resource {
        self.check_logical_id();
        self.tree.borrow_mut().entries.push(Entry::new(&self.logical_id, kind, properties));
        Resource { scope: self.clone() }
    }

    /// Adds a parameter to the template and returns a reference to its value.
    pub fn add_parameter(&self, parameter: ParameterProps) -> Value {
        let reference = Value::Ref(parameter.name.to_owned());
        self.tree.borrow_mut().parameters.push(parameter);
        reference
    }

    /// Adds a condition that holds where the parameter is not empty, and returns its name for [`Value::when`].
    pub fn add_condition_given(&self, name: &'static str, parameter: &Value) -> &'static str {
        self.tree.borrow_mut().conditions.push(Condition { name, not_empty: parameter.clone() });
        name
    }

    /// Adds an output; a description where the name does not say it all.
    pub fn add_output(&self, name: impl Into<String>, description: impl Into<String>, value: Value) {
        let output = OutputEntry { name: name.into(), description: description.into(), value };
        self.tree.borrow_mut().outputs.push(output);
    }

    /// Characters of a value as JSON once it is deployed, with a `queueNamePrefix` of so many characters.
    pub(crate) fn characters(&self, value: &Value, queue_prefix_characters: usize) -> usize {
        Longest { tree: &self.tree.borrow(), queue_prefix_characters }.characters(value)
    }

    fn check_logical_id(&self) {
        if self.tree.borrow().entries.iter().any(|entry| entry.logical_id == self.logical_id) {
            self.problem(format!("logical id `{}` is taken: give the construct another id", self.logical_id));
        }
    }
}

/// A resource in the tree: references to it, and the escape hatches.
#[derive(Clone)]
pub struct Resource {
    scope: Scope,
}

impl Resource {
    /// The place in the tree at which the resource was added.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Logical id in the template: a changed one replaces the resource.
    pub fn logical_id(&self) -> &str {
        &self.scope.logical_id
    }

    /// `Ref`: the name, URL or id that the resource's page lists under "Return values".
    pub fn reference(&self) -> Value {
        Value::Ref(self.logical_id().to_owned())
    }

    /// `Fn::GetAtt` of an attribute that the resource's page lists under "Return values".
    pub fn attribute(&self, name: &str) -> Value {
        Value::GetAtt(self.logical_id().to_owned(), name.to_owned())
    }

    /// `Fn::GetAtt` of `Arn`, which all resources have that we grant something on.
    pub fn arn(&self) -> Value {
        self.attribute("Arn")
    }

    /// Keeps the resource and its data in the account when the stack is deleted or replaces the resource; only a stack whose creation
    /// fails takes it away again.
    pub fn retain(&self) {
        self.change(|entry| entry.retained = true);
    }

    /// Escape hatch: sets a property by `CloudFormation`'s name, over whatever the construct says.
    pub fn set(&self, property: &str, value: impl Into<Value>) {
        let value = value.into();
        self.change(|entry| entry.set(property, value));
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        let mut tree = self.scope.tree.borrow_mut();
        let id = self.logical_id();
        if let Some(entry) = tree.entries.iter_mut().find(|entry| entry.logical_id == id) {
            change(entry);
        }
    }
}

//! The tree of constructs: a [`Stack`] is its root, a [`Scope`] a node, a [`Resource`] a leaf.
//!
//! A construct's id must not change: logical IDs consist of the ids on the path from the root, and a changed logical ID replaces the resource.

use std::cell::RefCell;
use std::rc::Rc;

use loader_core::problem::{Problem, Problems};

use crate::logical_id;
use crate::longest::Longest;
use crate::template::Template;
use crate::tree::{Condition, Entry, OutputEntry, ParameterProps, Tree};
use crate::value::Value;

/// The root of a tree, which is the unit of deployment.
pub struct Stack {
    scope: Scope,
}

impl Stack {
    /// Creates an empty stack. `name` is the first part of every path in problems and notes.
    pub fn new(name: &str) -> Self {
        let tree = Rc::new(RefCell::new(Tree::default()));
        Self { scope: Scope { tree, path: name.to_owned(), logical_id: String::new() } }
    }

    /// The root scope. Its children have logical IDs without a prefix.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the template, or all problems, each with the path of its construct. A template that exceeds `CloudFormation`'s limits is a problem
    /// of the stack.
    pub fn synth(self, description: &str) -> Result<Template, Problems> {
        let tree = self.scope.tree.take();
        tree.problems.clone().into_result()?;
        let template = Template::new(description, tree);
        template.check_size().map_err(|message| Problem { field: self.scope.path, message })?;
        Ok(template)
    }
}

/// A node of the tree, to which a construct adds its resources and children.
#[derive(Clone)]
pub struct Scope {
    tree: Rc<RefCell<Tree>>,
    path: String,
    logical_id: String,
}

impl Scope {
    /// A child with an id from this crate: letters and digits.
    #[must_use]
    pub fn child(&self, id: &str) -> Self {
        self.nested(id, id)
    }

    /// A child with a name chosen by the user. Any text is allowed, and different texts have different logical IDs.
    #[must_use]
    pub fn child_named(&self, name: &str) -> Self {
        self.nested(name, &logical_id::part(name))
    }

    /// A child that only groups others: its id is not part of their logical IDs, so constructs can be moved into it without being replaced.
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

    /// Logical ID of the resource at this node: the ids on the path from the root, joined.
    pub fn logical_id(&self) -> &str {
        &self.logical_id
    }

    /// Records a problem of the construct at this node. [`Stack::synth`] returns all of them.
    pub fn problem(&self, message: impl Into<String>) {
        self.tree.borrow_mut().problems.add(self.path.clone(), message);
    }

    /// Records something that is valid but that the user should know; see [`Template::notes`].
    pub fn note(&self, message: impl Into<String>) {
        let note = Problem { field: self.path.clone(), message: message.into() };
        self.tree.borrow_mut().notes.push(note);
    }

    /// Adds a resource of a `CloudFormation` type, with the logical ID of this node. A second resource with the same logical ID is a problem.
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

    /// Adds a condition that is true if the parameter is not empty, and returns its name for [`Value::when`].
    pub fn add_condition_given(&self, name: &'static str, parameter: &Value) -> &'static str {
        self.tree.borrow_mut().conditions.push(Condition { name, not_empty: parameter.clone() });
        name
    }

    /// Adds an output. The description may be empty if the name is clear enough.
    pub fn add_output(&self, name: impl Into<String>, description: impl Into<String>, value: Value) {
        let output = OutputEntry { name: name.into(), description: description.into(), value };
        self.tree.borrow_mut().outputs.push(output);
    }

    /// Characters of a value as JSON once it is deployed with a `queueNamePrefix` of the given length.
    pub(crate) fn characters(&self, value: &Value, queue_prefix_characters: usize) -> usize {
        Longest { tree: &self.tree.borrow(), queue_prefix_characters }.characters(value)
    }

    fn check_logical_id(&self) {
        if self.tree.borrow().entries.iter().any(|entry| entry.logical_id == self.logical_id) {
            self.problem(format!("logical id `{}` is taken: give the construct another id", self.logical_id));
        }
    }
}

/// A resource in the tree, with references to it and escape hatches.
#[derive(Clone)]
pub struct Resource {
    scope: Scope,
}

impl Resource {
    /// The node to which the resource was added.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Logical ID in the template. If it changes, the resource is replaced.
    pub fn logical_id(&self) -> &str {
        &self.scope.logical_id
    }

    /// `Ref`: the name, URL or ID that the Template reference lists under "Return values".
    pub fn reference(&self) -> Value {
        Value::Ref(self.logical_id().to_owned())
    }

    /// `Fn::GetAtt` of an attribute that the Template reference lists under "Return values".
    pub fn attribute(&self, name: &str) -> Value {
        Value::GetAtt(self.logical_id().to_owned(), name.to_owned())
    }

    /// `Fn::GetAtt` of `Arn`, which every resource has that permissions are granted on.
    pub fn arn(&self) -> Value {
        self.attribute("Arn")
    }

    /// Keeps the resource and its data when the stack is deleted or replaces the resource. Only if the creation of the stack fails is the resource
    /// removed again.
    pub fn retain(&self) {
        self.change(|entry| entry.retained = true);
    }

    /// Escape hatch: sets a property by `CloudFormation`'s name, whatever the construct has set.
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

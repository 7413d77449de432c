//! Options of commands that use a stack: which stack, and how to print the result.

use anyhow::Result;
use clap::Args;

use crate::ground::aws::{Aws, AwsArgs};
use crate::ground::output::{Format, Out};
use crate::ground::stack::Stack;
use crate::ground::stack_name::STACK_NAME_DEFAULT;

/// Options that select a stack.
#[derive(Args, Debug)]
pub struct StackSelection {
    /// Name of the stack
    #[arg(long, default_value = STACK_NAME_DEFAULT)]
    pub stack_name: String,
    #[command(flatten)]
    pub aws: AwsArgs,
}

impl StackSelection {
    /// The clients, and the stack; an error if it does not exist.
    pub async fn connect(&self) -> Result<(Aws, Stack)> {
        let aws = Aws::new(&self.aws).await?;
        let stack = Stack::get(&aws, &self.stack_name).await?;
        Ok((aws, stack))
    }
}

/// Options of every command that reads or changes a loader.
#[derive(Args, Debug)]
pub struct StackArgs {
    #[command(flatten)]
    selection: StackSelection,
    /// Format of the result
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

impl StackArgs {
    pub fn out(&self) -> Out {
        Out::new(self.output)
    }

    /// The clients, and the stack; an error if it does not exist.
    pub async fn connect(&self) -> Result<(Aws, Stack)> {
        self.selection.connect().await
    }
}

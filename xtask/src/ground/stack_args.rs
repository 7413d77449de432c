//! Which stack a command is about, and how it prints its result.

use anyhow::Result;
use clap::Args;

use crate::ground::aws::{Aws, AwsArgs};
use crate::ground::output::{Format, Out};
use crate::ground::stack::Stack;
use crate::ground::stack_name::STACK_NAME_DEFAULT;

/// Options of every command that reads or changes a loader.
#[derive(Args, Debug)]
pub struct StackArgs {
    /// Name of the stack
    #[arg(long, default_value = STACK_NAME_DEFAULT)]
    stack_name: String,
    #[command(flatten)]
    aws: AwsArgs,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

impl StackArgs {
    /// Where the command writes.
    pub fn out(&self) -> Out {
        Out::new(self.output)
    }

    /// The clients, and the stack, which must be there.
    pub async fn connect(&self) -> Result<(Aws, Stack)> {
        let aws = Aws::new(&self.aws).await?;
        let stack = Stack::get(&aws, &self.stack_name).await?;
        Ok((aws, stack))
    }
}

//! The NextLoader function: see `loader_aws::functions`.

use loader_core::contract::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    loader_aws::functions::run(Function::NextLoader).await
}

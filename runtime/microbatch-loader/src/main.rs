//! The MicrobatchLoader function: see `loader_functions`.

use loader_core::contract::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    loader_functions::run(Function::MicrobatchLoader).await
}

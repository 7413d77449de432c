//! The MicrobatchLoader function: see `loader_functions`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    loader_functions::run::<loader_functions::MicrobatchLoader>().await
}

//! The BulkLoader function: see `loader_functions`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    loader_functions::run::<loader_functions::BulkLoader>().await
}

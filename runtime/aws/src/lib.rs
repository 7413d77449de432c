//! The adapters: the only runtime crate that uses the AWS SDK. One file per service. Each call is done, certainly not done, or unknown. The
//! functions (`loader-functions`) and `xtask` use this crate.

#![warn(missing_docs)]

mod attributes;
mod calls;
mod clients;
mod configs;
mod dynamodb;
mod errors;
mod footers;
pub mod items;
mod json_paths;
pub mod list;
mod log;
mod query;
mod redshift_data;
mod s3;
pub mod statement;
mod trust;

use std::time::{SystemTime, UNIX_EPOCH};

use loader_core::settings::Settings;
use loader_core::tracker::item::Millis;
use loader_reconcile::ports::Surroundings;
use loader_reconcile::report::Event;

/// The connection to AWS: the settings, and the clients, which are connected once per execution environment.
#[derive(Debug)]
pub struct Aws {
    settings: Settings,
    dynamodb: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
    redshift_data: aws_sdk_redshiftdata::Client,
    configs: configs::Cache,
    json_paths: json_paths::Cache,
    footers: footers::Footers,
    calls: calls::Calls,
}

impl Aws {
    /// The settings of this connection.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl Surroundings for Aws {
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
    }

    async fn sleep(&self, millis: u64) {
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
    }

    fn report(&self, event: &Event) {
        let calls = if log::has_calls(event) { self.calls.take() } else { 0 };
        log::write(event, calls, &self.settings.stack_name, self.now());
    }
}

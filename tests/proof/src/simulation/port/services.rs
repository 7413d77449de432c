//! The ports of S3 and the Data API.

use loader_core::bulk_request::Position;
use loader_core::config::LoadConfig;
use loader_core::copy_options::CopyOptions;
use loader_core::ids::{StatementName, WaitingObject};
use loader_core::outcome::FailureClass;
use loader_core::parquet::FileColumn;
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::settle::StatementStatus;
use loader_reconcile::ports::{DataApi, Listed, Objects, Page, PortResult};
use rand::Rng;

use super::Port;
use crate::fixture::{Blob, MANIFEST_ROOT};
use crate::mutant::Mutant;
use crate::simulation::stage::{Happening, Stage};
use crate::simulation::{happenings, inventory};

/// Objects in a page of a listing.
const LIST_PAGE: usize = 40;

impl Objects for Port {
    async fn object(&self, _: &str, key: &str) -> PortResult<ObjectState> {
        self.call("object", |stage| Ok(stage.bucket.get(key).map_or(ObjectState::Missing, Blob::state))).await
    }

    async fn columns(&self, file: &WaitingObject, _: &CopyOptions) -> PortResult<Result<Vec<FileColumn>, String>> {
        let key = &file.object.key;
        let read = |stage: &mut Stage| {
            let blob = stage.bucket.get(key).filter(|blob| blob.version(key) == file.object);
            let told = blob.and_then(|blob| stage.options.mutant.shape_source(blob, &stage.bucket));
            Ok(told.map_or_else(|| Err("another version".to_owned()), Blob::columns))
        };
        self.call("columns", read).await
    }

    async fn part(&self, _: &str, key: &str, from: u64, length: u64) -> PortResult<Vec<u8>> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let part = |content: &Vec<u8>| content.iter().skip(from).take(length).copied().collect();
        self.call("part", |stage| Ok(stage.lists.get(key).map(part).unwrap_or_default())).await
    }

    async fn put_manifest(&self, key: &str, content: &str) -> PortResult<()> {
        self.call("put_manifest", |stage| {
            let url = stage.options.mutant.manifest(&format!("{MANIFEST_ROOT}{key}"));
            stage.manifests.insert(url, content.to_owned());
            Ok(())
        })
        .await
    }

    fn manifest_root(&self) -> String {
        MANIFEST_ROOT.to_owned()
    }

    async fn list(&self, bucket: &str, prefix: &str, after: Option<Position>) -> PortResult<Page> {
        self.call("list", |stage| {
            if bucket == inventory::LISTS {
                return Ok(Page { objects: inventories(stage, prefix), next: None });
            }
            let is_after = |key: &str| after.as_ref().is_none_or(|after| key > after.key.as_str());
            let below = stage.bucket.iter().filter(|(key, _)| key.starts_with(prefix) && is_after(key));
            let listed = |(key, blob): (&String, &Blob)| Listed { waiting: blob.waiting(key), modified_millis: 0 };
            let mut objects: Vec<Listed> = below.map(listed).take(LIST_PAGE + 1).collect();
            let more = objects.len() > LIST_PAGE;
            objects.truncate(LIST_PAGE);
            let last = objects.last().map(|listed| listed.waiting.object.key.clone());
            let next = last.filter(|_| more).map(|key| Position { key, version_id: None, line: None });
            Ok(Page { objects, next })
        })
        .await
    }
}

/// What lies below a prefix beside the inventories' data.
fn inventories(stage: &Stage, prefix: &str) -> Vec<Listed> {
    let blob = Blob { etag: "e".into(), size_bytes: 1, bad: false, misfit: false, names: &[], versioned: false };
    let listed = |key: &String| Listed { waiting: blob.waiting(key), modified_millis: 0 };
    stage.lists.keys().filter(|key| key.starts_with(prefix)).map(listed).collect()
}

impl DataApi for Port {
    async fn submit(&self, _: &LoadConfig, name: &StatementName, sql: &[String]) -> PortResult<String> {
        let mut answer = self
            .call("submit", |stage| {
                let items = stage.items.entry(name.table.clone()).or_default();
                let token = stage.options.mutant.token(name, &self.holder(), items);
                let sql = stage.options.mutant.statements(sql.to_vec(), &mut stage.warehouse);
                let known = stage.warehouse.statements.len();
                let id = stage.warehouse.submit(name, &token, &sql, stage.now);
                if stage.warehouse.statements.len() > known {
                    let slow = stage.rng.random_range(0..40) == 0;
                    let runs = stage.rng.random_range(500..if slow { 3_600_000 } else { 60_000 });
                    stage.happen(runs, Happening::StatementEnds(known));
                    if stage.warehouse.unfinished().values().any(|statements| *statements > 1) {
                        stage.violation(format!("3 one load per table: {name} beside another"));
                    }
                }
                Ok(id)
            })
            .await;
        if let Err(error) = &mut answer
            && error.unknown
            && self.lock().options.mutant == Mutant::UnknownIsRefused
        {
            (error.unknown, error.class) = (false, FailureClass::OperatorsTurn);
        }
        answer
    }

    async fn status(&self, _: &LoadConfig, statement_id: &str) -> PortResult<StatementStatus> {
        self.call("status", |stage| {
            let status = stage.warehouse.status(statement_id, stage.now);
            Ok(stage.options.mutant.status(status, self.hinted))
        })
        .await
    }

    async fn cancel(&self, statement_id: &str) -> PortResult<()> {
        self.call("cancel", |stage| {
            happenings::cancel(stage, statement_id);
            Ok(())
        })
        .await
    }

    async fn find(&self, _: &LoadConfig, name: &StatementName) -> PortResult<Option<String>> {
        self.call("find", |stage| Ok(stage.warehouse.find(name, stage.now))).await
    }

    async fn query(&self, config: &LoadConfig, sql: &str) -> PortResult<Vec<Vec<Option<String>>>> {
        self.call("query", |stage| {
            if sql.contains("information_schema") {
                return Ok(stage.warehouse.catalog(&config.db_table()));
            }
            let load_id = sql.rsplit('\'').nth(1).unwrap_or_default();
            let count = usize::from(stage.warehouse.ledger.contains(load_id));
            Ok(vec![vec![Some(count.to_string())]])
        })
        .await
    }
}

//! One stack per test program: started by the first test, shared by all, ended with the program.
//!
//! The stack's supervisor lives as long as its standard input, which this process holds: it ends when the program does,
//! after a panic or a kill too.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use futures::future::join_all;
use local_stack::{Admin, Stack, StackOptions};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, RwLock};

use crate::clients::Clients;
use crate::deploy::{self, Deployment, Tuning};
use crate::spec::Spec;
use crate::table::Table;
use crate::zips;

/// Clients keep connections that belong to a runtime, so all tests of a program share one.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// The tests of one program: how its stack is started, and what is deployed on it.
pub struct Suite {
    auth: bool,
    deployments: fn() -> Vec<(Tuning, Vec<Spec>)>,
    world: OnceCell<Result<World, String>>,
}

impl Suite {
    /// A suite over a stack with these deployments, all made before the first test.
    pub const fn new(deployments: fn() -> Vec<(Tuning, Vec<Spec>)>) -> Self {
        Self { auth: false, deployments, world: OnceCell::const_new() }
    }

    /// The same with signatures and policies enforced.
    #[must_use]
    pub const fn with_auth(mut self) -> Self {
        self.auth = true;
        self
    }

    /// Runs a test beside others.
    pub fn run(&'static self, test: impl AsyncFnOnce(&'static World)) {
        RUNTIME.block_on(async {
            let world = self.world().await;
            let _beside = world.faults.read().await;
            test(world).await;
        });
    }

    /// Runs a test that disturbs what all share, while no other runs.
    pub fn run_alone(&'static self, test: impl AsyncFnOnce(&'static World)) {
        RUNTIME.block_on(async {
            let world = self.world().await;
            let _alone = world.faults.write().await;
            world.calm().await;
            test(world).await;
            world.calm().await;
        });
    }

    async fn world(&'static self) -> &'static World {
        let start = || async { World::start(self).await.map_err(|error| short(&format!("{error:#}"))) };
        match self.world.get_or_init(start).await {
            Ok(world) => world,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The stack and what is deployed on it.
pub struct World {
    /// The stack.
    pub stack: Stack,
    /// Counts, log and toxics.
    pub admin: Admin,
    /// Clients of the root user.
    pub clients: Clients,
    /// What is deployed, in the order of the suite.
    pub deployments: Vec<Deployment>,
    specs: Vec<Vec<Spec>>,
    faults: RwLock<()>,
}

impl World {
    async fn start(suite: &Suite) -> Result<Self> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let dir = stack_folder()?;
        let options = StackOptions { clone_root: root, dir, auth: suite.auth, ..StackOptions::default() };
        let stack = local_stack::start(options, |_| {}).await?;
        let (admin, clients) = (stack.admin(), Clients::new(stack.info()));
        deploy::prepare(&clients).await?;
        let (mut deployments, mut specs) = (Vec::new(), Vec::new());
        let wanted = (suite.deployments)();
        let deployed = wanted.iter().map(|(tuning, specs)| deploy::deploy(&clients, tuning, specs));
        for (deployment, (_, wanted)) in join_all(deployed).await.into_iter().zip(&wanted) {
            deployments.push(deployment?);
            specs.push(wanted.clone());
        }
        let queues = deployments.iter().zip(&specs);
        let queues = queues.flat_map(|(deployment, specs)| specs.iter().map(move |spec| (deployment, spec)));
        deploy::notify(&clients, queues).await?;
        Ok(Self { stack, admin, clients, deployments, specs, faults: RwLock::new(()) })
    }

    /// The table of a queue, in whichever deployment it is.
    pub fn table(&self, name: &str) -> Table<'_> {
        let mut queues = self.deployments.iter().zip(&self.specs);
        let found = queues.find_map(|(deployment, specs)| {
            let spec = specs.iter().find(|spec| spec.name == name)?;
            Some(Table::new(self, deployment, spec.clone()))
        });
        found.unwrap_or_else(|| panic!("the suite has no queue `{name}`"))
    }

    /// Ends all faults.
    pub async fn calm(&self) {
        self.admin.clear_toxics().await.expect("the gateway answers");
        self.clients.standin.set(json!({"reset": true})).await.expect("the stand-in answers");
    }
}

/// Some services repeat the whole request in their errors.
fn short(error: &str) -> String {
    const CHARACTERS_SHOWN: usize = 2000;
    error.chars().take(CHARACTERS_SHOWN).collect()
}

/// A folder of this process; those of programs that ended are removed.
fn stack_folder() -> Result<std::path::PathBuf> {
    let stacks = zips::work_folder()?.join("stacks");
    std::fs::create_dir_all(&stacks)?;
    for entry in std::fs::read_dir(&stacks)?.flatten() {
        let process = entry.file_name().to_string_lossy().into_owned();
        if !std::path::Path::new("/proc").join(process).exists() {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
    let folder = stacks.join(std::process::id().to_string());
    std::fs::create_dir_all(&folder).context("cannot create the stack's folder")?;
    Ok(folder)
}

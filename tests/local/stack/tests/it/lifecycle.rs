//! Tests of starting, stopping and being killed.

use local_client::StackOptions;
use serde_json::json;

use crate::support::{clone_root, create_function, invoke, left_after_a_while, private_folder, processes_of, start};

fn kill(pid: u32) {
    let status = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(status.expect("kill runs").success());
}

#[tokio::test]
async fn a_stopped_stack_leaves_no_process_and_no_stack_file() {
    let dir = private_folder();
    let stack = start(dir.path(), false).await;
    let info = stack.info().clone();
    assert_eq!(local_client::info(dir.path()).expect("readable"), Some(info.clone()));
    create_function(&info, "idle", "none").await;
    let environment = invoke(&info, "idle", &json!({})).await.expect("the function succeeds");
    assert_eq!(environment["AWS_ENDPOINT_URL"], json!(info.functions_endpoint));
    assert!(processes_of(dir.path()).len() >= 3, "supervisor, guard, ministack, and the function");

    stack.stop().await.expect("the stack stops");

    assert_eq!(left_after_a_while(dir.path()).await, Vec::<String>::new());
    assert_eq!(local_client::info(dir.path()).expect("readable"), None);
    assert!(!dir.path().join("stack.json").exists());
}

#[tokio::test]
async fn all_processes_end_with_a_killed_supervisor() {
    let dir = private_folder();
    let stack = start(dir.path(), false).await;
    let info = stack.info().clone();
    create_function(&info, "idle", "none").await;
    invoke(&info, "idle", &json!({})).await.expect("the function succeeds");

    kill(info.pid);

    assert_eq!(left_after_a_while(dir.path()).await, Vec::<String>::new());
    assert_eq!(local_client::info(dir.path()).expect("readable"), None, "a stale file is ignored");
    drop(stack);
}

#[tokio::test]
async fn detached_stacks_run_side_by_side_until_stopped() {
    let (one, two) = (private_folder(), private_folder());
    let options = |dir: &std::path::Path| StackOptions {
        clone_root: clone_root(),
        dir: dir.to_owned(),
        ..StackOptions::default()
    };
    let (first, second) = tokio::join!(
        local_client::start_detached(options(one.path()), |_| {}),
        local_client::start_detached(options(two.path()), |_| {})
    );
    let (first, second) = (first.expect("it starts"), second.expect("it starts"));
    assert_ne!(first.endpoint, second.endpoint);
    let again = local_client::start_detached(options(one.path()), |_| {}).await;
    let refusal = again.expect_err("one stack per folder").to_string();
    assert!(refusal.contains("is already running in"), "{refusal}");

    assert!(local_client::down(one.path()).await.expect("it stops"));
    assert!(!local_client::down(one.path()).await.expect("nothing to stop"));
    assert_eq!(left_after_a_while(one.path()).await, Vec::<String>::new());
    assert!(local_client::info(two.path()).expect("readable").is_some());
    assert!(local_client::down(two.path()).await.expect("it stops"));
    assert_eq!(left_after_a_while(two.path()).await, Vec::<String>::new());
}

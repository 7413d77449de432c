//! The clone that the program was built from: its folders, and paths as a person in it writes them.

use std::path::{Path, PathBuf};

/// The clone's folder. Cargo says where its package is now; the clone may have been moved since it was built.
pub fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Folder of the queue configurations unless another is given.
pub fn queues() -> PathBuf {
    root().join("queues")
}

/// Folder of the files that say how a warehouse is used, beside that of the queues.
pub fn warehouses() -> PathBuf {
    root().join("warehouses")
}

/// File of the template unless another is given: the committed one.
pub fn template() -> PathBuf {
    root().join("cfn-out/loader.template.json")
}

/// A path, relative to the clone where it is inside.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

//! The clone that the program was built from: its folders, and paths relative to it.

use std::path::{Path, PathBuf};

/// The clone's folder. Cargo sets the environment variable to where the package is now; the clone may have been moved since it was built.
pub fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Default folder of the queue configurations.
pub fn queues() -> PathBuf {
    root().join("queues")
}

/// Default folder of the warehouses' files, beside that of the queues.
pub fn warehouses() -> PathBuf {
    root().join("warehouses")
}

/// Default file of the template: the committed one.
pub fn template() -> PathBuf {
    root().join("cfn-out/loader.template.json")
}

/// A path for display: relative to the clone if it is inside.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

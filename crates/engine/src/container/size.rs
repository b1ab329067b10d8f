//! How much room a container takes.

use super::record::ContainerRecord;
use crate::namespace;
use crate::open::Engine;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes of a container's own changes.
pub fn changes(engine: &Engine, record: &ContainerRecord) -> u64 {
    let upper = engine.paths.container(&record.id).join("upper");
    match tree(&upper) {
        Some(size) => size,
        None => namespace::inside(engine, || Ok(tree(&upper).unwrap_or(0))).unwrap_or(0),
    }
}

/// Bytes of the image below.
pub fn image(engine: &Engine, record: &ContainerRecord) -> u64 {
    let Some(image) = &record.image else { return 0 };
    let store = engine.store();
    image.layers.iter().filter_map(|layer| store.layer(layer).ok()).map(|layer| layer.size).sum()
}

/// Bytes of the files of a tree; `None` where it cannot be looked into.
pub fn tree(path: &Path) -> Option<u64> {
    let mut total = 0;
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Some(0),
        Err(_) => return None,
    };
    for entry in entries.flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        total += if meta.is_dir() { tree(&entry.path())? } else { meta.size() };
    }
    Some(total)
}

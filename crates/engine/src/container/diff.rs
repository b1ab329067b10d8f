//! `diff`: what a container changed in its root.

use super::record::ContainerRecord;
use crate::error::{Error, ErrorKind, Result};
use crate::namespace;
use crate::open::Engine;
use crate::volume::store_error;

/// Places that are made for mounts of ours, and are no changes of the container's.
const OURS: [&str; 14] = [
    "/dev",
    "/proc",
    "/sys",
    "/run",
    "/run/.containerenv",
    "/run/secrets",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/localtime",
    "/etc/passwd",
    "/run/podman-init",
    "/tmp",
    "/var/tmp",
];

/// Lists changes as `A`, `C` or `D` and a path, sorted by path.
pub fn diff(engine: &Engine, record: &ContainerRecord) -> Result<Vec<(char, String)>> {
    let Some(image) = &record.image else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("container {:?} has a directory as its root: there is nothing to compare it with", record.name.as_str()),
        ));
    };
    let changes = namespace::inside(engine, || {
        let changes = engine.store().root_diff(&engine.paths.container(&record.id), &image.layers).map_err(store_error)?;
        let letter = |kind| match kind {
            storage::ChangeKind::Added => 'A',
            storage::ChangeKind::Changed => 'C',
            storage::ChangeKind::Deleted => 'D',
        };
        Ok(changes.into_iter().map(|change| (letter(change.kind), String::from_utf8_lossy(&change.path).into_owned())).collect::<Vec<_>>())
    })?;
    Ok(changes.into_iter().filter(|(kind, path)| *kind == 'D' || !OURS.contains(&path.as_str())).collect())
}

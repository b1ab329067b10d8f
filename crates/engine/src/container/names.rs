//! Names are claimed: a link that fails when the name is taken decides who has it, without any global lock.
//!
//! ```text
//! $graphroot/container-names/<name>     holds the id
//! $graphroot/staging/<id>/              a container being made; its `lock` is held by its maker
//! $graphroot/containers/<id>/           a container
//! ```
//! A claim is alive while its container exists or is being made by a living process; else whoever wants the
//! name may take it over.

use crate::error::{Cure, Error, ErrorKind, Result};
use crate::open::Engine;
use rustix::fs::{FlockOperation, flock};
use spec::{ContainerId, Name};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Claims a name for a container that stands in staging.
pub fn claim(engine: &Engine, name: &Name, id: &ContainerId) -> Result<()> {
    let path = path_of(engine, name);
    let temporary = engine.paths.graph_root.join("staging").join(format!("name-{id}"));
    let doing = |e: std::io::Error| Error::io(format!("claiming the name {:?}", name.as_str()), e);
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(doing)?;
    file.write_all(id.as_str().as_bytes()).map_err(doing)?;
    drop(file);
    let result = (0..16)
        .find_map(|_| match std::fs::hard_link(&temporary, &path) {
            Ok(()) => Some(Ok(())),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => match living_holder(engine, name) {
                Ok(Some(holder)) => Some(Err(in_use(name, &holder))),
                // Taken over: the link of a container that is no more is deleted, and the race begins anew.
                Ok(None) => std::fs::remove_file(&path).err().filter(|e| e.kind() != std::io::ErrorKind::NotFound).map(|e| Err(doing(e))),
                Err(error) => Some(Err(error)),
            },
            Err(e) => Some(Err(doing(e))),
        })
        .unwrap_or_else(|| Err(Error::new(ErrorKind::Conflict, format!("claiming the name {:?}: others keep claiming it", name.as_str()))));
    let _ = std::fs::remove_file(&temporary);
    result
}

/// Gives a name back, if it is still held by this container.
pub fn release(engine: &Engine, name: &Name, id: &ContainerId) {
    let path = path_of(engine, name);
    if std::fs::read_to_string(&path).is_ok_and(|text| text.trim() == id.as_str()) {
        let _ = std::fs::remove_file(path);
    }
}

/// Returns who holds a name, unless nobody alive does.
pub fn living_holder(engine: &Engine, name: &Name) -> Result<Option<ContainerId>> {
    let Some(id) = super::find::id_of_name(engine, name)? else { return Ok(None) };
    if engine.paths.container(&id).exists() || is_being_made(engine, &id) || engine.paths.container(&id).exists() {
        return Ok(Some(id));
    }
    Ok(None)
}

fn is_being_made(engine: &Engine, id: &ContainerId) -> bool {
    let lock = engine.paths.graph_root.join("staging").join(id.as_str()).join("lock");
    let Ok(file) = std::fs::File::open(lock) else { return false };
    matches!(flock(&file, FlockOperation::NonBlockingLockShared), Err(rustix::io::Errno::WOULDBLOCK))
}

fn path_of(engine: &Engine, name: &Name) -> PathBuf {
    engine.paths.graph_root.join("container-names").join(name.as_str())
}

/// Podman's words: scripts look for them.
fn in_use(name: &Name, holder: &ContainerId) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        format!(
            "creating container storage: the container name {:?} is already in use by {holder}. You have to remove that container to be \
             able to reuse that name: that name is already in use",
            name.as_str()
        ),
    )
    .with_cure(Cure::NameInUse { name: name.to_string(), id: holder.to_string() })
}

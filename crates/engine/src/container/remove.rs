//! `rm`: the directory leaves its place by one rename, then the name is given back, then the tree is deleted.
//! A kill in between leaves only what the next command collects.

use super::record::ContainerRecord;
use super::stop::{self, StopOptions};
use super::{lock, names, status};
use crate::error::{Cure, Error, ErrorKind, Result};
use crate::open::Engine;
use crate::{namespace, volume};
use std::path::Path;

/// What `rm` was told.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Stop it first if it runs.
    pub force: bool,
    /// Anonymous volumes too.
    pub volumes: bool,
    /// Seconds until KILL.
    pub timeout: Option<u64>,
}

/// Removes a container.
pub fn remove(engine: &Engine, record: &ContainerRecord, options: RemoveOptions) -> Result<()> {
    let look = status::look(engine, &record.id)?;
    if look.run.is_some() {
        if !options.force {
            return Err(Error::new(
                ErrorKind::WrongState,
                format!(
                    "cannot remove container {} as it is {} - running or paused containers cannot be removed without force: container \
                     state improper",
                    record.id,
                    look.status.as_str()
                ),
            )
            .with_cure(Cure::StopFirst { container: record.name.to_string() }));
        }
        stop::stop(engine, record, StopOptions { timeout: options.timeout })?;
    }
    discard(engine, record, options.volumes)
}

/// Takes a container that does not run out of the store; also the end of `--rm`, called by the monitor.
pub(crate) fn discard(engine: &Engine, record: &ContainerRecord, volumes: bool) -> Result<()> {
    let dir = engine.paths.container(&record.id);
    let grave = engine.paths.graph_root.join("staging").join(format!("rm-{}", record.id));
    {
        let _lock = match lock::VerbLock::take(engine, &record.id) {
            Ok(lock) => lock,
            // Somebody else removed it while we waited.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        match std::fs::rename(&dir, &grave) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Error::io(format!("removing container {:?}", record.name.as_str()), e)),
        }
    }
    names::release(engine, &record.name, &record.id);
    let _ = std::fs::remove_dir_all(engine.paths.container_run(&record.id));
    if volumes {
        volume::unmake_for(engine, record);
    }
    delete_tree(engine, &grave)
}

/// Deletes a tree that may hold files of sub-ids: plainly if that works, else inside the engine namespace.
pub(crate) fn delete_tree(engine: &Engine, path: &Path) -> Result<()> {
    if namespace::is_inside() || !engine.is_rootless() {
        return plain_delete(path);
    }
    if plain_delete(path).is_ok() {
        return Ok(());
    }
    namespace::inside(engine, || plain_delete(path))
}

fn plain_delete(path: &Path) -> Result<()> {
    match files::remove_tree(path) {
        Ok(()) => Ok(()),
        Err(e) => Err(Error::because(ErrorKind::Internal, format!("deleting {:?}", path.display()), e)),
    }
}

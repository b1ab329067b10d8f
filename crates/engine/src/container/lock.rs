//! The two locks of a container. Both are flocks: the kernel lets them go when their holder dies.

use crate::error::{Error, Result};
use crate::open::Engine;
use rustix::fs::{FlockOperation, flock};
use spec::ContainerId;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held by a verb while it changes a container; others wait.
#[derive(Debug)]
pub struct VerbLock {
    _file: File,
}

/// Held by the monitor as long as it lives: a container runs while this is locked.
#[derive(Debug)]
pub struct AliveLock {
    file: File,
}

impl VerbLock {
    /// Waits for the lock of a container. A container that is removed meanwhile is not found.
    pub fn take(engine: &Engine, id: &ContainerId) -> Result<Self> {
        let path = engine.paths.container(id).join("lock");
        let file = open_lock(&path)?;
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
            .map_err(|e| Error::io(format!("locking container {:?}", id.short()), e))?;
        Ok(Self { _file: file })
    }
}

impl AliveLock {
    /// Takes the lock for a monitor to be; `None` if one lives.
    pub fn try_take(engine: &Engine, id: &ContainerId) -> Result<Option<Self>> {
        let file = open_lock(&engine.paths.container_run(id).join("alive"))?;
        match rustix::io::retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => Ok(Some(Self { file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(Error::io(format!("locking container {:?}", id.short()), e)),
        }
    }

    /// Waits until no monitor lives, by waiting for its lock.
    pub fn wait_free(engine: &Engine, id: &ContainerId) -> Result<()> {
        let path = engine.paths.container_run(id).join("alive");
        let Ok(file) = std::fs::OpenOptions::new().read(true).open(&path) else { return Ok(()) };
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockShared))
            .map_err(|e| Error::io(format!("waiting for container {:?}", id.short()), e))
    }

    /// The locked file, to be inherited by the monitor.
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// Tells whether a monitor lives, without disturbing it.
pub fn is_alive(engine: &Engine, id: &ContainerId) -> bool {
    let path = engine.paths.container_run(id).join("alive");
    let Ok(file) = std::fs::OpenOptions::new().read(true).open(&path) else { return false };
    // A shared lock is refused exactly while the monitor holds its exclusive one.
    matches!(flock(&file, FlockOperation::NonBlockingLockShared), Err(rustix::io::Errno::WOULDBLOCK))
}

fn open_lock(path: &Path) -> Result<File> {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
        .open(path)
        .map_err(|e| Error::io(format!("opening lock {:?}", path.display()), e))
}

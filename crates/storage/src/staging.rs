//! Places for what is being made. Each is a directory whose lock its maker holds; one that nobody holds was
//! left by a killed process and is collected by the next that makes something.

use crate::{Store, StoreError};
use rustix::fs::{FlockOperation, flock};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A staging directory; deleted when dropped.
#[derive(Debug)]
pub struct Staged {
    dir: PathBuf,
    lock_path: PathBuf,
    _lock: std::fs::File,
}

impl Staged {
    /// Makes a directory in staging.
    pub fn new(store: &Store) -> Result<Self, StoreError> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("work-{}-{}-{number}", std::process::id(), start_ticks());
        let dir = store.path().join("staging").join(&name);
        let lock_path = store.path().join("staging").join(format!("{name}.lock"));
        let lock = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|e| StoreError::io("making", &lock_path, e))?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| StoreError::io("locking", &lock_path, e))?;
        std::fs::DirBuilder::new().mode(0o700).create(&dir).map_err(|e| StoreError::io("making", &dir, e))?;
        Ok(Self { dir, lock_path, _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = files::remove_tree(&self.dir);
        let _ = std::fs::remove_file(&self.lock_path);
    }
}

impl Store {
    /// Deletes what killed processes left in staging. Must run where ids of the store can be deleted.
    pub fn collect(&self) {
        let Ok(entries) = std::fs::read_dir(self.path().join("staging")) else { return };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str() else { continue };
            let lock = if let Some(stem) = name.strip_suffix(".lock") {
                // Handled with its directory, or alone when that is gone.
                if self.path().join("staging").join(stem).exists() {
                    continue;
                }
                path.clone()
            } else if name.starts_with("work-") {
                self.path().join("staging").join(format!("{name}.lock"))
            } else {
                // A container in the making keeps its lock inside; one on its way out has none that anybody holds.
                path.join("lock")
            };
            let held = std::fs::File::open(&lock).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_err());
            let young = entry.metadata().and_then(|meta| meta.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() < 60));
            if !held && !young {
                let _ = files::remove_tree(&path);
                let _ = std::fs::remove_file(&lock);
            }
        }
    }
}

/// Start time of this process, so that a reused pid makes another name.
fn start_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_ascii_whitespace().nth(19)?.parse().ok()).unwrap_or(0)
}

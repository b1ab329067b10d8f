//! What a container changed: its upper directory against the layers below.

use crate::{Store, StoreError};
use oci::Digest;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use std::os::fd::OwnedFd;
use std::path::Path;

/// How a path changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Changed.
    Changed,
    /// Added.
    Added,
    /// Deleted.
    Deleted,
}

/// A changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// Path, from the root on.
    pub path: Vec<u8>,
}

impl Store {
    /// Lists what a container changed, sorted by path.
    pub fn root_diff(&self, container: &Path, layers: &[Digest]) -> Result<Vec<Change>, StoreError> {
        let open = |path: &Path| {
            rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
                .map_err(|e| StoreError::io("opening", path, e))
        };
        let lower = layers
            .iter()
            .rev()
            .map(|layer| open(&self.layer_dir(layer).join("diff")).map(files::RootDir::new))
            .collect::<Result<Vec<_>, _>>()?;
        let upper_path = container.join("upper");
        if !upper_path.exists() {
            return Ok(Vec::new());
        }
        let mut changes = Vec::new();
        walk(&open(&upper_path)?, b"", &lower, &mut changes).map_err(|e| StoreError::io("reading", upper_path, e))?;
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(changes)
    }
}

/// Tells whether a path exists below, as overlay sees it: the uppermost layer that knows it decides.
fn exists_below(lower: &[files::RootDir], path: &[u8]) -> bool {
    for layer in lower {
        match layer.find_plain(path, OFlags::PATH) {
            Ok(fd) => return !rustix::fs::fstat(&fd).is_ok_and(|stat| is_whiteout(&stat)),
            Err(_) if hides(layer, path) => return false,
            Err(_) => {}
        }
    }
    false
}

/// A whiteout or an opaque directory on the way hides what lower layers have.
fn hides(layer: &files::RootDir, path: &[u8]) -> bool {
    let mut end = path.len();
    while let Some(slash) = path[..end].iter().rposition(|b| *b == b'/') {
        end = slash;
        if let Ok(fd) = layer.find_plain(&path[..end], OFlags::PATH) {
            let stat = rustix::fs::fstat(&fd);
            return stat.is_ok_and(|stat| is_whiteout(&stat)) || is_opaque(&fd);
        }
    }
    false
}

pub(crate) fn is_whiteout(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

pub(crate) fn is_opaque(dir: &OwnedFd) -> bool {
    let Ok(readable) = rustix::fs::openat(dir, ".", crate::ingest::DIRECTORY, Mode::empty()) else { return false };
    ["user.overlay.opaque", "trusted.overlay.opaque"].into_iter().any(|name| {
        let mut value = [0u8; 4];
        rustix::fs::fgetxattr(&readable, name, &mut value[..]).is_ok_and(|got| value[..got].starts_with(b"y"))
    })
}

fn walk(dir: &OwnedFd, at: &[u8], lower: &[files::RootDir], changes: &mut Vec<Change>) -> rustix::io::Result<()> {
    let readable = rustix::fs::openat(dir, ".", crate::ingest::DIRECTORY, Mode::empty())?;
    for entry in rustix::fs::Dir::read_from(&readable)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let mut path = at.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.to_bytes());
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let shown = [b"/".as_slice(), &path].concat();
        if is_whiteout(&stat) {
            changes.push(Change { kind: ChangeKind::Deleted, path: shown });
            continue;
        }
        let kind = if exists_below(lower, &path) { ChangeKind::Changed } else { ChangeKind::Added };
        changes.push(Change { kind, path: shown });
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let child =
                rustix::fs::openat(dir, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            walk(&child, &path, lower, changes)?;
        }
    }
    Ok(())
}

//! Root file systems: the layers of an image below, the changes of a container on top.

use crate::{Store, StoreError};
use oci::Digest;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How a root is mounted.
#[derive(Debug, Clone, Default)]
pub struct RootOptions {
    /// No changes: no upper directory.
    pub read_only: bool,
    /// Nothing is synced when it is unmounted; for roots that are thrown away.
    pub volatile: bool,
    /// SELinux label of everything in it.
    pub label: Option<String>,
    /// Ids shifted for a user namespace of the container's own, given by its name in [`Store::shift_layer`].
    pub shift: Option<IdShift>,
}

/// Ranges of ids: `(inside, outside, count)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdShift {
    /// User ids.
    pub uid: Vec<(u32, u32, u32)>,
    /// Group ids.
    pub gid: Vec<(u32, u32, u32)>,
}

impl Store {
    /// Makes the directories for the changes of a container; its root looks like the top layer's.
    pub fn create_root(&self, container: &Path, layers: &[Digest], shift: Option<&IdShift>) -> Result<(), StoreError> {
        let upper = container.join("upper");
        if upper.exists() {
            return Ok(());
        }
        let fresh = container.join("upper.new");
        let _ = files::remove_tree(&fresh);
        for dir in [&fresh, &container.join("work")] {
            match std::fs::create_dir(dir) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(StoreError::io("making", dir, e)),
            }
        }
        let top = layers.last().map(|layer| self.layer_dir(layer).join("diff"));
        let (mode, uid, gid) = match top.map(rustix::fs::stat) {
            Some(Ok(stat)) => (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid),
            _ => (0o755, 0, 0),
        };
        let outside = |ranges: Option<&Vec<(u32, u32, u32)>>, id: u32| match ranges {
            Some(ranges) => ranges
                .iter()
                .find(|(inside, _, count)| id >= *inside && id - inside < *count)
                .map_or(id, |(inside, outside, _)| outside + (id - inside)),
            None => id,
        };
        let (uid, gid) = (outside(shift.map(|s| &s.uid), uid), outside(shift.map(|s| &s.gid), gid));
        rustix::fs::chown(&fresh, Some(rustix::fs::Uid::from_raw(uid)), Some(rustix::fs::Gid::from_raw(gid)))
            .map_err(|e| StoreError::io("setting the owner of", &fresh, e))?;
        rustix::fs::chmod(&fresh, Mode::from_raw_mode(mode)).map_err(|e| StoreError::io("setting the mode of", &fresh, e))?;
        std::fs::rename(&fresh, &upper).map_err(|e| StoreError::io("making", &upper, e))
    }

    /// Mounts a root, detached: it belongs to whoever holds the descriptor, and goes with it.
    pub fn mount_root(&self, container: Option<&Path>, layers: &[Digest], options: &RootOptions) -> Result<OwnedFd, StoreError> {
        let mut lower = Vec::new();
        for layer in layers.iter().rev() {
            let dir = match &options.shift {
                Some(shift) => self.shifted_dir(layer, shift)?,
                None => self.layer_dir(layer).join("diff"),
            };
            lower.push(open_directory(&dir)?);
        }
        if lower.is_empty() {
            // An image without layers has an empty root; overlay wants at least one directory.
            let empty = self.path().join("layers/empty");
            let _ = std::fs::create_dir(&empty);
            lower.push(open_directory(&empty)?);
        }
        let changes = match container.filter(|_| !options.read_only) {
            Some(dir) => Some((open_directory(&dir.join("upper"))?, open_directory(&dir.join("work"))?)),
            None => None,
        };
        mount_overlay(&lower, changes.as_ref(), options)
            .map_err(|e| StoreError::io("mounting an overlay for", container.unwrap_or(self.path()), e))
    }

    fn shifted_dir(&self, layer: &Digest, shift: &IdShift) -> Result<PathBuf, StoreError> {
        self.shift_layer(layer, shift)
    }
}

fn open_directory(path: &Path) -> Result<OwnedFd, StoreError> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| StoreError::io("opening", path, e))
}

/// Directories are named by descriptor: a string given to fsconfig(2) ends at 256 bytes.
fn by_fd(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Overlay wants two directories at least; one alone is shown as it is, read-only.
fn show_one(dir: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    use rustix::mount::{OpenTreeFlags, open_tree};
    let tree = open_tree(dir, "", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH)?;
    let change = sys::mount::Change { set: sys::mount::attr::RDONLY, ..Default::default() };
    sys::mount::set_attributes(&tree, change, false).map_err(|e| rustix::io::Errno::from_io_error(&e).unwrap_or(rustix::io::Errno::IO))?;
    Ok(tree)
}

fn mount_overlay(lower: &[OwnedFd], changes: Option<&(OwnedFd, OwnedFd)>, options: &RootOptions) -> rustix::io::Result<OwnedFd> {
    if let ([one], None) = (lower, changes) {
        return show_one(one);
    }
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    if crate::in_user_namespace() {
        fsconfig_set_flag(&fs, "userxattr")?;
    }
    fsconfig_set_string(&fs, "source", "overlay")?;
    // One layer a call where the kernel has it (6.8); else all in one string.
    let one_by_one = lower.iter().try_for_each(|dir| fsconfig_set_string(&fs, "lowerdir+", by_fd(dir)));
    if one_by_one.is_err() {
        let all: Vec<String> = lower.iter().map(by_fd).collect();
        fsconfig_set_string(&fs, "lowerdir", all.join(":"))?;
    }
    if let Some((upper, work)) = changes {
        fsconfig_set_string(&fs, "upperdir", by_fd(upper))?;
        fsconfig_set_string(&fs, "workdir", by_fd(work))?;
        if options.volatile {
            fsconfig_set_flag(&fs, "volatile")?;
        }
    }
    if let Some(label) = &options.label {
        let _ = fsconfig_set_string(&fs, "context", label.as_str());
    }
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

//! Writes the entries of a layer in overlay form, below one held directory.

use archive::{Entry, EntryKind};
use files::{RootDir, clean_parts};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Why an entry cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A path that leads out, or has no name.
    #[error("entry {path:?} leads out of the layer")]
    Path {
        /// The path.
        path: String,
    },
    /// An id that is not in the map.
    #[error("entry {path:?} belongs to {uid}:{gid}, which is beyond the ids we have (see /etc/subuid and /etc/subgid)")]
    Ids {
        /// The path.
        path: String,
        /// Owner.
        uid: u64,
        /// Group.
        gid: u64,
    },
    /// The kernel refused.
    #[error("writing {path:?}: {step}")]
    Io {
        /// The path.
        path: String,
        /// What was being done.
        step: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The root of the layer is no directory.
    #[error("the layer's own root is not a directory")]
    Root,
}

/// Writes entries below a directory.
pub(crate) struct LayerWriter {
    root: RootDir,
    in_userns: bool,
    /// The parent of the last entry: neighbours follow each other.
    last_parent: Option<(Vec<u8>, OwnedFd)>,
    /// Times of directories, set when everything is in them.
    directories: Vec<(Vec<u8>, (i64, u32))>,
    /// Device nodes left out.
    pub(crate) skipped_devices: u64,
}

const OPAQUE: &[u8] = b".wh..wh..opq";
const WHITEOUT: &[u8] = b".wh.";

impl LayerWriter {
    pub(crate) fn new(root: RootDir) -> Self {
        Self { root, in_userns: crate::in_user_namespace(), last_parent: None, directories: Vec::new(), skipped_devices: 0 }
    }

    /// Writes one entry; `content` is called with the open file when it has content.
    pub(crate) fn write<E: From<WriteError>>(&mut self, entry: &Entry, content: impl FnOnce(&OwnedFd) -> Result<(), E>) -> Result<(), E> {
        let shown = || String::from_utf8_lossy(&entry.path).into_owned();
        let Some(parts) = clean_parts(&entry.path) else { return Err(WriteError::Path { path: shown() }.into()) };
        let fail = |step: &'static str| {
            move |e: Errno| WriteError::Io { path: String::from_utf8_lossy(&entry.path).into_owned(), step, source: e.into() }
        };
        let Some((name, parents)) = parts.split_last() else {
            if entry.kind != EntryKind::Directory {
                return Err(WriteError::Root.into());
            }
            let dir = self.root.find(b".", OFlags::RDONLY | OFlags::DIRECTORY).map_err(fail("opening the root"))?;
            self.set_metadata(&dir, entry)?;
            self.directories.push((Vec::new(), entry.mtime));
            return Ok(());
        };
        let parent_path = parents.join(&b'/');
        self.enter(&parent_path).map_err(fail("making its directory"))?;
        let Some((_, parent)) = &self.last_parent else { unreachable!("enter() leaves a parent") };
        let c_name = CString::new(*name).map_err(|_| WriteError::Path { path: shown() })?;
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            return self.whiteout(parent, name, hidden, entry).map_err(E::from);
        }
        if entry.kind != EntryKind::Directory {
            clear_way(parent, &c_name, false).map_err(fail("replacing an earlier entry"))?;
        }
        let mode = Mode::from_raw_mode(entry.mode);
        match entry.kind {
            EntryKind::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(parent, &c_name, flags, Mode::RUSR | Mode::WUSR).map_err(fail("creating it"))?;
                content(&file)?;
                self.set_metadata(&file, entry)?;
                rustix::fs::futimens(&file, &times(entry.mtime)).map_err(fail("setting its time"))?;
            }
            EntryKind::Directory => {
                let dir = self.make_directory(parent, &c_name).map_err(fail("making it"))?;
                self.set_metadata(&dir, entry)?;
                let path = parts.join(&b'/');
                self.directories.push((path, entry.mtime));
            }
            EntryKind::Symlink => {
                let target = CString::new(entry.link.as_slice()).map_err(|_| WriteError::Path { path: shown() })?;
                rustix::fs::symlinkat(&target, parent, &c_name).map_err(fail("creating the link"))?;
                self.own_by_name(parent, &c_name, entry)?;
            }
            EntryKind::HardLink => self.hard_link(parent, &c_name, entry)?,
            EntryKind::CharDevice | EntryKind::BlockDevice if self.in_userns => self.skipped_devices += 1,
            EntryKind::CharDevice | EntryKind::BlockDevice | EntryKind::Fifo => {
                let kind = match entry.kind {
                    EntryKind::CharDevice => FileType::CharacterDevice,
                    EntryKind::BlockDevice => FileType::BlockDevice,
                    _ => FileType::Fifo,
                };
                let device = rustix::fs::makedev(entry.device.0, entry.device.1);
                rustix::fs::mknodat(parent, &c_name, kind, mode, device).map_err(fail("making the node"))?;
                self.own_by_name(parent, &c_name, entry)?;
                // Made by us a moment ago, and no link: following cannot lead anywhere.
                rustix::fs::chmodat(parent, &c_name, mode, AtFlags::empty()).map_err(fail("setting its mode"))?;
            }
        }
        Ok(())
    }

    /// Sets the times of directories, now that nothing is put into them any more.
    pub(crate) fn finish(self) -> Result<(), WriteError> {
        for (path, mtime) in self.directories.iter().rev() {
            // One that was replaced by something else later has no time to be set.
            if let Ok(dir) = self.root.find_plain(path, OFlags::RDONLY | OFlags::DIRECTORY) {
                let _ = rustix::fs::futimens(&dir, &times(*mtime));
            }
        }
        Ok(())
    }

    /// Makes `self.last_parent` the directory of a path; links on the way stay inside the layer.
    fn enter(&mut self, path: &[u8]) -> Result<(), Errno> {
        if self.last_parent.as_ref().is_some_and(|(last, _)| last == path) {
            return Ok(());
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let fd = match self.root.find(path, flags) {
            Err(Errno::NOENT) => {
                let mut so_far = Vec::new();
                for part in path.split(|b| *b == b'/') {
                    let parent = self.root.find(&so_far, flags)?;
                    match rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(e) => return Err(e),
                    }
                    if !so_far.is_empty() {
                        so_far.push(b'/');
                    }
                    so_far.extend_from_slice(part);
                }
                self.root.find(path, flags)?
            }
            other => other?,
        };
        self.last_parent = Some((path.to_vec(), fd));
        Ok(())
    }

    fn make_directory(&self, parent: &OwnedFd, name: &CString) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    clear_way(parent, name, true)?;
                    rustix::fs::mkdirat(parent, name, Mode::RWXU)?;
                }
            }
            Err(e) => return Err(e),
        }
        rustix::fs::openat(parent, name, flags, Mode::empty())
    }

    /// Owner, mode, attributes, in this order: changing the owner takes set-user-id bits and capabilities away.
    fn set_metadata(&self, fd: &OwnedFd, entry: &Entry) -> Result<(), WriteError> {
        let path = || String::from_utf8_lossy(&entry.path).into_owned();
        let io = |step: &'static str| {
            move |e: Errno| WriteError::Io { path: String::from_utf8_lossy(&entry.path).into_owned(), step, source: e.into() }
        };
        let (uid, gid) = self.owner(entry)?;
        rustix::fs::fchown(fd, Some(uid), Some(gid)).map_err(|e| match e {
            Errno::INVAL => WriteError::Ids { path: path(), uid: entry.uid, gid: entry.gid },
            other => io("setting its owner")(other),
        })?;
        rustix::fs::fchmod(fd, Mode::from_raw_mode(entry.mode)).map_err(io("setting its mode"))?;
        for (name, value) in &entry.xattrs {
            if self.is_dropped(name) {
                continue;
            }
            match rustix::fs::fsetxattr(fd, name.as_slice(), value, XattrFlags::empty()) {
                Ok(()) => {}
                // A file system without this kind of attribute; capabilities are worth an error.
                Err(Errno::NOTSUP | Errno::PERM) if name != b"security.capability" => {}
                Err(e) => return Err(io("setting an extended attribute")(e)),
            }
        }
        Ok(())
    }

    /// Marks of overlay itself never come from an image (kernel CVE-2023-0386), nor do labels of another host.
    fn is_dropped(&self, name: &[u8]) -> bool {
        name.starts_with(b"trusted.overlay.")
            || name.starts_with(b"user.overlay.")
            || name == b"security.selinux"
            || name == b"security.ima"
            || name == b"security.evm"
            || (self.in_userns && name.starts_with(b"trusted."))
    }

    fn owner(&self, entry: &Entry) -> Result<(rustix::fs::Uid, rustix::fs::Gid), WriteError> {
        let id = |id: u64| u32::try_from(id).ok().filter(|id| *id != u32::MAX);
        match (id(entry.uid), id(entry.gid)) {
            (Some(uid), Some(gid)) => Ok((rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid))),
            _ => Err(WriteError::Ids { path: String::from_utf8_lossy(&entry.path).into_owned(), uid: entry.uid, gid: entry.gid }),
        }
    }

    fn own_by_name(&self, parent: &OwnedFd, name: &CString, entry: &Entry) -> Result<(), WriteError> {
        let path = || String::from_utf8_lossy(&entry.path).into_owned();
        let (uid, gid) = self.owner(entry)?;
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(|e| match e {
            Errno::INVAL => WriteError::Ids { path: path(), uid: entry.uid, gid: entry.gid },
            other => WriteError::Io { path: path(), step: "setting its owner", source: other.into() },
        })?;
        rustix::fs::utimensat(parent, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW).map_err(|e| WriteError::Io {
            path: path(),
            step: "setting its time",
            source: e.into(),
        })
    }

    fn hard_link(&self, parent: &OwnedFd, name: &CString, entry: &Entry) -> Result<(), WriteError> {
        let path = || String::from_utf8_lossy(&entry.path).into_owned();
        let io = |e: Errno| WriteError::Io { path: path(), step: "linking it", source: e.into() };
        let target = clean_parts(&entry.link).filter(|parts| !parts.is_empty()).ok_or_else(|| WriteError::Path { path: path() })?;
        let Some((target_name, target_parents)) = target.split_last() else { return Err(WriteError::Path { path: path() }) };
        let target_parent = self.root.find(&target_parents.join(&b'/'), OFlags::PATH | OFlags::DIRECTORY).map_err(io)?;
        // Not followed: a link to a link is a link.
        rustix::fs::linkat(&target_parent, *target_name, parent, name, AtFlags::empty()).map_err(io)
    }

    /// A whiteout is a character device 0/0, an opaque directory has a mark (kernel: filesystems/overlayfs.rst).
    fn whiteout(&self, parent: &OwnedFd, name: &[u8], hidden: &[u8], entry: &Entry) -> Result<(), WriteError> {
        let path = || String::from_utf8_lossy(&entry.path).into_owned();
        let io = |e: Errno| WriteError::Io { path: path(), step: "writing a whiteout", source: e.into() };
        if name == OPAQUE {
            let mark: &str = if self.in_userns { "user.overlay.opaque" } else { "trusted.overlay.opaque" };
            let dir = rustix::fs::openat(parent, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(io)?;
            return rustix::fs::fsetxattr(&dir, mark, b"y", XattrFlags::empty()).map_err(io);
        }
        if hidden.starts_with(WHITEOUT) {
            // Other marks of AUFS mean nothing to us.
            return Ok(());
        }
        if hidden.is_empty() || hidden == b"." || hidden == b".." {
            return Err(WriteError::Path { path: path() });
        }
        match rustix::fs::mknodat(parent, hidden, FileType::CharacterDevice, Mode::empty(), 0) {
            // Whiteouts are of lower layers; what this layer brings itself stays (image-spec layer.md#whiteouts).
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(e) => Err(io(e)),
        }
    }
}

/// Deletes an earlier entry of the same name; a directory only when it may go with all that is in it.
fn clear_way(parent: &OwnedFd, name: &CString, _for_directory: bool) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {
            let path = format!("/proc/self/fd/{}/{}", std::os::fd::AsRawFd::as_raw_fd(&parent.as_fd()), name.to_string_lossy());
            match name.to_str() {
                Ok(_) => files::remove_tree(std::path::Path::new(&path)).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO)),
                Err(_) => Err(Errno::ISDIR),
            }
        }
        Err(e) => Err(e),
    }
}

fn times(mtime: (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: mtime.0, tv_nsec: i64::from(mtime.1) };
    Timestamps { last_access: time, last_modification: time }
}

//! Deleting a tree by descriptors: no link is followed, nothing mounted is entered, no depth is too deep.

use crate::descend::{Descent, READ_DIRECTORY};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, StatxFlags, fchmod, fstat, openat, statat, statx, unlinkat};
use rustix::io::Errno;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Deletes a tree; one that is not there is no error. Directories without permissions (as overlay leaves them)
/// get them first. What cannot be deleted does not keep the rest from going; the first error is told.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Err(io::Error::from(io::ErrorKind::InvalidInput)) };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(parent) => remove_tree_at(&parent, name),
        Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Deletes what a name in a held directory stands for, with all that is in it.
pub fn remove_tree_at(parent: impl AsFd, name: impl rustix::path::Arg + Copy) -> io::Result<()> {
    let parent = parent.as_fd();
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e.into()),
    }
    let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Errno::PERM.into());
    }
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ACCESS) => {}
        Err(e) => return Err(e.into()),
    }
    let dir = open_directory(parent, name)?;
    if is_mounted_in(&dir, parent)? {
        return Err(Errno::BUSY.into());
    }
    let emptied = empty(dir);
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(emptied.err().unwrap_or(e.into())),
    }
}

/// Tells whether a directory is a mount in its parent. Another device alone does not say so: it may be a btrfs
/// subvolume, which is deleted like a directory.
fn is_mounted_in(dir: &OwnedFd, parent: BorrowedFd<'_>) -> Result<bool, Errno> {
    if fstat(dir)?.st_dev == fstat(parent)?.st_dev {
        return Ok(false);
    }
    let mount = |fd: BorrowedFd<'_>| statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
    let (inner, outer) = (mount(dir.as_fd())?, mount(parent)?);
    // A kernel without mount ids (before 5.8) says nothing: then another device is a mount.
    Ok(inner.stx_mask & StatxFlags::MNT_ID.bits() == 0 || inner.stx_mnt_id != outer.stx_mnt_id)
}

struct Level {
    names: std::vec::IntoIter<(CString, bool)>,
    own: CString,
}

/// Deletes everything in a directory.
fn empty(top: OwnedFd) -> io::Result<()> {
    let mut first_error: Option<Errno> = None;
    let mut note = |e: Errno| {
        first_error.get_or_insert(e);
    };
    let mut descent = Descent::new(top)?;
    let mut levels = vec![Level { names: list(descent.here())?.into_iter(), own: CString::default() }];
    while let Some(level) = levels.last_mut() {
        let Some((name, is_directory)) = level.names.next() else {
            let own = levels.pop().map(|level| level.own).unwrap_or_default();
            if descent.depth() > 0 {
                descent.leave()?;
                match unlinkat(descent.here(), &own, AtFlags::REMOVEDIR) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(e) => note(e),
                }
            }
            continue;
        };
        let flags = if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match unlinkat(descent.here(), &name, flags) {
            Ok(()) | Err(Errno::NOENT) => continue,
            // Also what the directory did not tell the kind of, or what changed since.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ACCESS | Errno::ISDIR | Errno::PERM) => {}
            Err(Errno::NOTDIR) => {
                if let Err(e) = unlinkat(descent.here(), &name, AtFlags::empty()) {
                    note(e);
                }
                continue;
            }
            Err(e) => {
                note(e);
                continue;
            }
        }
        let entered = open_directory(descent.here(), &name).and_then(|dir| {
            if is_mounted_in(&dir, descent.here())? {
                return Err(Errno::BUSY);
            }
            descent.enter_open(dir)
        });
        match entered {
            Ok(()) => levels.push(Level { names: list(descent.here()).unwrap_or_default().into_iter(), own: name }),
            // What may not be deleted and is no directory was refused, not entered.
            Err(Errno::NOTDIR | Errno::LOOP) => note(Errno::PERM),
            Err(e) => note(e),
        }
    }
    first_error.map_or(Ok(()), |e| Err(e.into()))
}

fn list(dir: BorrowedFd<'_>) -> Result<Vec<(CString, bool)>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push((entry.file_name().to_owned(), entry.file_type() == FileType::Directory));
        }
    }
    Ok(names)
}

/// Opens a directory, and gives its owner the permission to empty it.
fn open_directory(parent: BorrowedFd<'_>, name: impl rustix::path::Arg + Copy) -> Result<OwnedFd, Errno> {
    let dir = match openat(parent, name, READ_DIRECTORY, Mode::empty()) {
        Err(Errno::ACCESS) => {
            // A path descriptor needs no permission, and cannot be swapped for a link any more.
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let held = openat(parent, name, flags, Mode::empty())?;
            rustix::fs::chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), Mode::RWXU)?;
            openat(parent, name, READ_DIRECTORY, Mode::empty())?
        }
        other => other?,
    };
    let mode = fstat(&dir)?.st_mode;
    if mode & 0o700 != 0o700 {
        // Refused only when it is not ours, and then deleting tells.
        let _ = fchmod(&dir, Mode::from_raw_mode(mode & 0o7777) | Mode::RWXU);
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn scratch(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("files-remove-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_tree_goes_and_what_it_points_to_stays() {
        let dir = scratch("tree");
        std::fs::create_dir_all(dir.join("a/b/c")).unwrap();
        std::fs::write(dir.join("kept"), "x").unwrap();
        std::fs::write(dir.join("a/b/f"), "x").unwrap();
        std::os::unix::fs::symlink("../../kept", dir.join("a/b/link")).unwrap();
        std::os::unix::fs::symlink("../..", dir.join("a/b/up")).unwrap();
        std::fs::set_permissions(dir.join("a/b"), std::fs::Permissions::from_mode(0)).unwrap();
        remove_tree(&dir.join("a")).unwrap();
        assert!(!dir.join("a").exists() && dir.join("kept").exists());
        remove_tree(&dir.join("a")).unwrap();
        remove_tree(&dir).unwrap();
    }

    #[test]
    fn trees_deeper_than_paths_and_descriptors_are_counted_and_go() {
        let dir = scratch("deep");
        let mut at = rustix::fs::open(&dir, READ_DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = openat(&at, "d", READ_DIRECTORY, Mode::empty()).unwrap();
        }
        let size = crate::tree_size(rustix::fs::open(&dir, READ_DIRECTORY, Mode::empty()).unwrap()).unwrap();
        assert_eq!(size.entries, 5000);
        remove_tree(&dir).unwrap();
        assert!(!dir.exists());
    }
}

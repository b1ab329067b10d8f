//! Deleting a tree by descriptors: no link is followed, no other file system is entered.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, fstat, openat, statat, unlinkat};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Deletes a tree; one that is not there is no error. Directories without permissions (as overlay leaves them)
/// get them first.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Err(io::Error::from(io::ErrorKind::InvalidInput)) };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = match rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(parent) => parent,
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    let device = match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat.st_dev,
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    remove_entry(&parent, name, device)
}

fn remove_entry(parent: &OwnedFd, name: impl rustix::path::Arg + Copy, device: u64) -> io::Result<()> {
    // Most entries are files: try the cheap way first.
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(rustix::io::Errno::ISDIR | rustix::io::Errno::PERM) => {}
        Err(e) => return Err(e.into()),
    }
    let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(rustix::io::Errno::PERM.into());
    }
    if stat.st_dev != device {
        return Err(rustix::io::Errno::XDEV.into());
    }
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(rustix::io::Errno::NOTEMPTY | rustix::io::Errno::EXIST | rustix::io::Errno::ACCESS) => {}
        Err(e) => return Err(e.into()),
    }
    let dir = open_directory(parent, name)?;
    empty(&dir, device)?;
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn open_directory(parent: &OwnedFd, name: impl rustix::path::Arg + Copy) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(parent, name, flags, Mode::empty()) {
        Err(rustix::io::Errno::ACCESS) => {
            // Ours, but closed to us: a path descriptor does not need the permission, and its owner may open it.
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            Ok(openat(parent, name, flags, Mode::empty())?)
        }
        other => Ok(other?),
    }
}

fn empty(dir: &OwnedFd, device: u64) -> io::Result<()> {
    let stat = fstat(dir)?;
    if stat.st_mode & 0o700 != 0o700 {
        // Refused only when it is not ours, and then deleting tells.
        let _ = fchmod(dir.as_fd(), Mode::from_raw_mode(stat.st_mode & 0o7777) | Mode::RWXU);
    }
    let mut first_error = None;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        // Teardown goes on and reports the first thing that failed.
        if let Err(e) = remove_entry(dir, name, device) {
            first_error.get_or_insert(e);
        }
    }
    first_error.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_tree_goes_and_what_it_points_to_stays() {
        let dir = std::env::temp_dir().join(format!("files-remove-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("a/b/c")).unwrap();
        std::fs::write(dir.join("kept"), "x").unwrap();
        std::fs::write(dir.join("a/b/f"), "x").unwrap();
        std::os::unix::fs::symlink("../../kept", dir.join("a/b/link")).unwrap();
        std::fs::set_permissions(dir.join("a/b"), std::fs::Permissions::from_mode(0)).unwrap();
        remove_tree(&dir.join("a")).unwrap();
        assert!(!dir.join("a").exists() && dir.join("kept").exists());
        remove_tree(&dir.join("a")).unwrap();
        remove_tree(&dir).unwrap();
    }
}

//! The root: attached, and entered.

use crate::error::{LaunchError, Step};
use oci::runtime::Linux;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::{MoveMountFlags, move_mount};
use std::os::fd::OwnedFd;
use sys::mount::{Change, attr, propagation, set_attributes};

/// Hands on the new root and on things of the old one that are needed until it is left.
pub(crate) struct Hands {
    /// The new root.
    pub(crate) root: OwnedFd,
    /// The host's /dev, for binding device nodes.
    pub(crate) host_dev: Option<OwnedFd>,
    /// /dev/null, proven to be it, for masking files (runc CVE-2025-31133).
    pub(crate) null: OwnedFd,
}

/// Attaches the root's tree somewhere in our own mount namespace, where nobody sees it, and gets hold of it.
pub(crate) fn attach(tree: OwnedFd, linux: &Linux) -> Result<Hands, LaunchError> {
    let doing = |e: rustix::io::Errno| LaunchError::new(Step::Root, "", e);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let host_dev = rustix::fs::open("/dev", flags, Mode::empty()).ok();
    let null = open_null()?;
    let slash = rustix::fs::open("/", flags, Mode::empty()).map_err(doing)?;
    let wanted = match linux.rootfs_propagation.as_deref() {
        Some("shared" | "rshared" | "slave" | "rslave") => propagation::SLAVE,
        _ => propagation::PRIVATE,
    };
    set_attributes(&slash, Change { propagation: wanted, ..Change::default() }, true).map_err(|e| LaunchError::new(Step::Root, "/", e))?;
    // Any directory will do for a place; it is covered in this namespace alone.
    let place = ["/run", "/tmp", "/mnt", "/usr", "/etc"].into_iter().find(|dir| rustix::fs::stat(*dir).is_ok()).unwrap_or("/proc");
    move_mount(&tree, "", rustix::fs::CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(doing)?;
    Ok(Hands { root: tree, host_dev, null })
}

fn open_null() -> Result<OwnedFd, LaunchError> {
    let doing = |e: rustix::io::Errno| LaunchError::new(Step::Mask, "/dev/null", e);
    let null = rustix::fs::open("/dev/null", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).map_err(doing)?;
    let stat = rustix::fs::fstat(&null).map_err(doing)?;
    let is_null = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::CharacterDevice
        && (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)) == (1, 3);
    if is_null { Ok(null) } else { Err(LaunchError::refused(Step::Mask, "/dev/null", "it is not the null device")) }
}

/// Makes the new root the root, and lets go of the old one.
pub(crate) fn enter(hands: &Hands, read_only: bool, linux: &Linux) -> Result<(), LaunchError> {
    let doing = |e: rustix::io::Errno| LaunchError::new(Step::Pivot, "", e);
    if read_only {
        set_attributes(&hands.root, Change { set: attr::RDONLY, ..Change::default() }, false)
            .map_err(|e| LaunchError::new(Step::Root, "/", e))?;
    }
    rustix::process::fchdir(&hands.root).map_err(doing)?;
    // With both paths the same the old root lies on top of the new one (pivot_root(2)), and is peeled off.
    rustix::process::pivot_root(".", ".").map_err(doing)?;
    rustix::mount::unmount(".", rustix::mount::UnmountFlags::DETACH).map_err(doing)?;
    rustix::process::chdir("/").map_err(doing)?;
    match linux.rootfs_propagation.as_deref() {
        Some("shared" | "rshared") => set_attributes(&hands.root, Change { propagation: propagation::SHARED, ..Change::default() }, true),
        Some("unbindable" | "runbindable") => {
            set_attributes(&hands.root, Change { propagation: propagation::UNBINDABLE, ..Change::default() }, false)
        }
        _ => Ok(()),
    }
    .map_err(|e| LaunchError::new(Step::Root, "propagation", e))
}

/// Finds a path inside the root; links stay inside, magic ones are not followed.
pub(crate) fn find(root: &OwnedFd, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // The kernel asks to try again when something was renamed at the wrong moment.
    for _ in 0..128 {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(rustix::io::Errno::AGAIN) => {}
            result => return result,
        }
    }
    Err(rustix::io::Errno::AGAIN)
}

/// What a mount point has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

/// Finds a mount point, or makes it: every directory by its parent's descriptor, inside the root.
pub(crate) fn find_or_make(root: &OwnedFd, path: &str, kind: Kind) -> rustix::io::Result<OwnedFd> {
    match find(root, path, OFlags::PATH) {
        Err(rustix::io::Errno::NOENT) => {}
        result => return result,
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let mut so_far = String::new();
    let mut parent = find(root, "/", OFlags::PATH | OFlags::DIRECTORY)?;
    for (index, part) in parts.iter().enumerate() {
        so_far.push('/');
        so_far.push_str(part);
        let is_last = index + 1 == parts.len();
        let found = find(root, &so_far, OFlags::PATH);
        parent = match found {
            Ok(fd) => fd,
            Err(rustix::io::Errno::NOENT) if *part != ".." => {
                if is_last && kind == Kind::File {
                    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    rustix::fs::openat(&parent, *part, flags, Mode::from_raw_mode(0o644))?;
                } else {
                    match rustix::fs::mkdirat(&parent, *part, Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                        Err(e) => return Err(e),
                    }
                }
                find(root, &so_far, OFlags::PATH)?
            }
            Err(e) => return Err(e),
        };
    }
    Ok(parent)
}

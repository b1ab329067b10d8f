//! Attributes of mounts (mount_setattr(2), Linux 5.12).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Attribute bits (`MOUNT_ATTR_*`).
pub mod attr {
    /// Read-only.
    pub const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
    /// No set-user-id.
    pub const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
    /// No device nodes.
    pub const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
    /// No execution.
    pub const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
    /// The mask of access time modes.
    pub const ATIME_MASK: u64 = 0x70;
    /// Access times never change.
    pub const NOATIME: u64 = 0x10;
    /// Access times always change.
    pub const STRICTATIME: u64 = 0x20;
    /// Access times of directories never change.
    pub const NODIRATIME: u64 = 0x80;
    /// No symbolic links are followed.
    pub const NOSYMFOLLOW: u64 = 0x20_0000;
    /// Id-mapped by a user namespace.
    pub const IDMAP: u64 = libc::MOUNT_ATTR_IDMAP;
}

/// Propagation types (mount_namespaces(7)).
pub mod propagation {
    /// Unbindable.
    pub const UNBINDABLE: u64 = libc::MS_UNBINDABLE as u64;
    /// Private.
    pub const PRIVATE: u64 = libc::MS_PRIVATE as u64;
    /// Slave.
    pub const SLAVE: u64 = libc::MS_SLAVE as u64;
    /// Shared.
    pub const SHARED: u64 = libc::MS_SHARED as u64;
}

/// A change of attributes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    /// Bits set.
    pub set: u64,
    /// Bits cleared.
    pub clear: u64,
    /// Propagation; 0 leaves it.
    pub propagation: u64,
    /// User namespace of [`attr::IDMAP`].
    pub user_namespace: Option<BorrowedFd<'a>>,
}

/// Changes the attributes of the mount a descriptor stands on, with all below it when `recursive`.
pub fn set_attributes(mount: impl AsFd, change: Change<'_>, recursive: bool) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: change.user_namespace.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let empty = CString::default();
    let flags = libc::AT_EMPTY_PATH as u32 | if recursive { libc::AT_RECURSIVE as u32 } else { 0 };
    // SAFETY: the path is a valid empty string and the structure lives during the call; its size is passed along.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            empty.as_ptr(),
            flags,
            std::ptr::from_ref(&attributes),
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

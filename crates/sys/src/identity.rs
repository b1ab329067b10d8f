//! Ids of the calling process. Raw system calls: they concern this thread alone, and we have one.

use std::io;

/// Sets real, effective and saved group id (setresgid(2)).
pub fn set_gids(real: u32, effective: u32, saved: u32) -> io::Result<()> {
    // SAFETY: plain numbers, no memory is passed.
    check(unsafe { libc::syscall(libc::SYS_setresgid, real, effective, saved) })
}

/// Sets real, effective and saved user id (setresuid(2)).
pub fn set_uids(real: u32, effective: u32, saved: u32) -> io::Result<()> {
    // SAFETY: plain numbers, no memory is passed.
    check(unsafe { libc::syscall(libc::SYS_setresuid, real, effective, saved) })
}

/// Sets the supplementary groups (setgroups(2)).
pub fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the kernel reads exactly `len` ids from the slice.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

//! Loading a system call filter (seccomp(2)).

use std::io;

/// One instruction of classic BPF (linux/filter.h).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Jump when true.
    pub jump_true: u8,
    /// Jump when false.
    pub jump_false: u8,
    /// Operand.
    pub operand: u32,
}

/// Puts the calling thread under a filter, for good. Needs no_new_privs or CAP_SYS_ADMIN.
pub fn load(program: &[Instruction], flags: u32) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: Instruction has the layout of sock_filter (both are u16, u8, u8, u32), and the kernel copies `length` of them.
    let result = unsafe {
        let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, std::ptr::from_ref(&filter))
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

//! Asks for things a container should not get, and tells what the kernel said. Nothing is changed: each call is
//! made so that it cannot succeed in a harmful way.

/// Tries calls that confinement should refuse; `allowed`, or the name of the error.
pub fn syscalls() -> Vec<(&'static str, String)> {
    let outcome = |result: libc::c_long| -> String {
        if result >= 0 {
            // SAFETY: calls below that succeed return descriptors or 0; a descriptor of ours is closed again.
            if result > 2 {
                unsafe { libc::close(result as i32) };
            }
            return "allowed".to_owned();
        }
        match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::EPERM) => "EPERM".to_owned(),
            Some(libc::ENOSYS) => "ENOSYS".to_owned(),
            Some(libc::EACCES) => "EACCES".to_owned(),
            Some(libc::EAFNOSUPPORT) => "EAFNOSUPPORT".to_owned(),
            // The call got through to its arguments, so it was let in.
            Some(libc::EINVAL | libc::EFAULT | libc::EBADF | libc::ENOENT | libc::ENODEV) => "allowed".to_owned(),
            Some(other) => format!("errno {other}"),
            None => "unknown".to_owned(),
        }
    };
    let null = std::ptr::null::<libc::c_void>();
    // SAFETY: every pointer passed is null and every length 0, so the kernel has nothing to read or write; sockets are
    // closed; unshare is asked with flags that do not exist together and is only let in, not done, when it answers EINVAL.
    unsafe {
        vec![
            ("socket AF_ALG", outcome(libc::syscall(libc::SYS_socket, libc::AF_ALG, libc::SOCK_SEQPACKET, 0))),
            ("socket AF_VSOCK", outcome(libc::syscall(libc::SYS_socket, libc::AF_VSOCK, libc::SOCK_STREAM, 0))),
            ("socket packet", outcome(libc::syscall(libc::SYS_socket, libc::AF_PACKET, libc::SOCK_RAW, 0))),
            ("bpf", outcome(libc::syscall(libc::SYS_bpf, 0, null, 0))),
            ("perf_event_open", outcome(libc::syscall(libc::SYS_perf_event_open, null, 0, -1, -1, 0))),
            ("userfaultfd", outcome(libc::syscall(libc::SYS_userfaultfd, 0x7fff_0000))),
            ("io_uring_setup", outcome(libc::syscall(libc::SYS_io_uring_setup, 0, null))),
            ("keyctl add_key", outcome(libc::syscall(libc::SYS_add_key, null, null, null, 0, 0))),
            ("mount", outcome(libc::syscall(libc::SYS_mount, null, null, null, 0, null))),
            ("fsopen", outcome(libc::syscall(libc::SYS_fsopen, null, 0))),
            ("unshare", outcome(libc::syscall(libc::SYS_unshare, 0x7fff_0001))),
            ("clone3", outcome(libc::syscall(libc::SYS_clone3, null, 0))),
            ("open_by_handle_at", outcome(libc::syscall(libc::SYS_open_by_handle_at, -1, null, 0))),
            ("kexec_load", outcome(libc::syscall(libc::SYS_kexec_load, 0, 0, null, 0xffff))),
            ("init_module", outcome(libc::syscall(libc::SYS_init_module, null, 0, null))),
        ]
    }
}

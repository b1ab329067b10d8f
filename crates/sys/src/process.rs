//! What a process says of itself: namespaces joined, keyring, execution, descriptors.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Joins namespaces of a process given by its pidfd (setns(2), Linux 5.8).
pub fn join_namespaces(process: impl AsFd, flags: crate::clone::Flags) -> io::Result<()> {
    // SAFETY: a descriptor and a number.
    check(unsafe { libc::setns(process.as_fd().as_raw_fd(), flags.bits() as i32) })
}

/// Joins the namespace of a descriptor, whatever its kind.
pub fn join_namespace(namespace: impl AsFd) -> io::Result<()> {
    // SAFETY: a descriptor and a number.
    check(unsafe { libc::setns(namespace.as_fd().as_raw_fd(), 0) })
}

/// Leaves the session keyring of the caller for a new one (keyrings(7)).
pub fn new_session_keyring() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring; no memory is passed.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets the execution domain (personality(2)).
pub fn set_personality(domain: u32) -> io::Result<()> {
    // SAFETY: a number.
    if unsafe { libc::personality(libc::c_ulong::from(domain)) } >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets the name shown for this thread, cut at 15 bytes.
pub fn set_name(name: &str) {
    if let Ok(name) = CString::new(name) {
        // SAFETY: the kernel copies at most 16 bytes of a terminated string.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
    }
}

/// Closes all descriptors from `first` on (close_range(2), Linux 5.9).
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: callers hold no OwnedFd they use afterwards; they are about to execute or to exit.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } as i32)
}

/// Marks all descriptors from `first` on to be closed at execution (CLOSE_RANGE_CLOEXEC, Linux 5.11).
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: numbers; no descriptor is closed now.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) } as i32)
}

/// Executes a program; returns only its error.
pub fn execute(path: &CString, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| list.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: all strings are terminated and both lists end with null; they live until execve returns, if it does.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Brings the loopback interface of the current network namespace up.
pub fn loopback_up() -> io::Result<()> {
    // SAFETY: a socket of our own, and an ifreq with a terminated name, as netdevice(7) asks.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let result = libc::ioctl(socket, libc::SIOCSIFFLAGS, &request);
        let error = io::Error::last_os_error();
        libc::close(socket);
        if result == 0 { Ok(()) } else { Err(error) }
    }
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Duplicates a descriptor to a given number, which stays open over execution.
pub fn duplicate_to(fd: impl AsFd, number: i32) -> io::Result<()> {
    // SAFETY: whatever stood at `number` is closed; callers are about to execute and use no OwnedFd of that number.
    if unsafe { libc::dup2(fd.as_fd().as_raw_fd(), number) } >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets the I/O priority of the caller (ioprio_set(2)).
pub fn set_io_priority(class: u32, priority: u32) -> io::Result<()> {
    const IOPRIO_WHO_PROCESS: libc::c_long = 1;
    // SAFETY: numbers.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, class << 13 | (priority & 0x1fff)) } as i32)
}

/// Duplicates a descriptor that was inherited under a given number.
pub fn duplicate_inherited(number: i32) -> io::Result<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: fcntl checks the number; on success the new descriptor is ours alone.
    unsafe {
        let fd = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(std::os::fd::OwnedFd::from_raw_fd(fd)) }
    }
}

/// Closes every descriptor above 2 that is not close-on-exec: none of ours, but what our caller left open.
pub fn close_inherited() {
    let numbers: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: every OwnedFd of ours is close-on-exec, so a descriptor that is not has no owner in this program.
        unsafe {
            let flags = libc::fcntl(number, libc::F_GETFD);
            if flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
                libc::close(number);
            }
        }
    }
}

/// Gives the caller a mount namespace of its own.
pub fn unshare_mounts() -> io::Result<()> {
    // SAFETY: a number; the caller has one thread, whose view of mounts is copied.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })
}

//! Forking a single-threaded process, with new namespaces (clone3(2), Linux 5.3).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The constant of libc is too narrow.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Namespaces a child gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(u64);

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// A user namespace.
    pub const NEW_USER: Self = Self(libc::CLONE_NEWUSER as u64);
    /// A mount namespace.
    pub const NEW_MOUNT: Self = Self(libc::CLONE_NEWNS as u64);
    /// A process id namespace, in which the child is process 1.
    pub const NEW_PID: Self = Self(libc::CLONE_NEWPID as u64);
    /// A network namespace.
    pub const NEW_NET: Self = Self(libc::CLONE_NEWNET as u64);
    /// An IPC namespace.
    pub const NEW_IPC: Self = Self(libc::CLONE_NEWIPC as u64);
    /// A host name namespace.
    pub const NEW_UTS: Self = Self(libc::CLONE_NEWUTS as u64);
    /// A cgroup namespace.
    pub const NEW_CGROUP: Self = Self(libc::CLONE_NEWCGROUP as u64);
    /// The child becomes a sibling: a child of our parent. It sends no signal of its own choice when it ends.
    pub const SIBLING: Self = Self(libc::CLONE_PARENT as u64);

    /// The bits, as the kernel counts them.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Tells whether all of the other's flags are in ours.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Which side of the fork we are on.
#[derive(Debug)]
pub enum Forked {
    /// The child.
    Child,
    /// The parent, with its child.
    Parent(Child),
}

/// A child process.
#[derive(Debug)]
pub struct Child {
    /// Process id.
    pub pid: i32,
    /// Descriptor of the process.
    pub pidfd: OwnedFd,
}

impl Child {
    /// Waits for its end and reaps it.
    pub fn wait(&self) -> io::Result<std::process::ExitStatus> {
        use std::os::unix::process::ExitStatusExt;
        loop {
            let mut status = 0;
            // SAFETY: waitpid writes one int to a valid place; the pid is our own unreaped child's.
            let done = unsafe { libc::waitpid(self.pid, &mut status, 0) };
            if done == self.pid {
                return Ok(std::process::ExitStatus::from_raw(status));
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

/// Forks. The caller must have one thread; in a process with more, the child could find a lock held for ever.
pub fn fork(flags: Flags) -> io::Result<Forked> {
    fork_into(flags, None)
}

/// Forks, with the child in a control group given by its directory (CLONE_INTO_CGROUP, Linux 5.7).
pub fn fork_into(flags: Flags, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: an all-zero clone_args is valid; the fields set below are what clone3(2) asks for.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags.0 | libc::CLONE_PIDFD as u64;
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    // With CLONE_PARENT the signal is the caller's own; clone3(2) wants 0 then.
    args.exit_signal = if flags.contains(Flags::SIBLING) { 0 } else { libc::SIGCHLD as u64 };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM and with no stack given, the child continues on its own copy of ours, as fork(2) does;
    // the kernel writes pidfd before it returns in the parent.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::from_mut(&mut args), size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => {
            // SAFETY: with CLONE_PIDFD the kernel has just put a new descriptor of ours there.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Forked::Parent(Child { pid: pid as i32, pidfd }))
        }
    }
}

/// Ends this process without running what the parent registered for its own end.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit never returns and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

/// Reaps a child that may have been made with [`Flags::SIBLING`], whose end sends no signal (`__WALL`).
pub fn reap(pid: i32) -> Option<std::process::ExitStatus> {
    use std::os::unix::process::ExitStatusExt;
    loop {
        let mut status = 0;
        // SAFETY: waitpid writes one int to a valid place.
        let done = unsafe { libc::waitpid(pid, &mut status, libc::__WALL) };
        if done == pid {
            return Some(std::process::ExitStatus::from_raw(status));
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
}

//! `exec`: one more program in the namespaces of a container.
//!
//! The caller forks a guide, which joins the container and forks the program as its sibling, so that the
//! caller is the program's parent and the guide is gone before it runs.

use crate::error::{LaunchError, Step};
use crate::launch::{self, READY, Started, Stdio};
use crate::seccomp::Program;
use crate::{devices, identity, init};
use oci::runtime::{Config, Process};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::process::DumpableBehavior;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use sys::clone::{Flags, Forked};

/// What is executed where.
#[derive(Debug)]
pub struct Exec<'a> {
    /// Descriptor of the container's first process.
    pub target: BorrowedFd<'a>,
    /// Its process id.
    pub target_pid: i32,
    /// The container's configuration.
    pub config: &'a Config,
    /// The program.
    pub process: &'a Process,
    /// Standard input, output and error.
    pub stdio: Stdio,
    /// Become descriptors 3 and up.
    pub preserve_fds: Vec<OwnedFd>,
    /// Directory of the container's control group.
    pub cgroup: Option<OwnedFd>,
    /// The container's filter.
    pub seccomp: Option<Program>,
}

/// Executes a program in a container; the caller becomes its parent.
pub fn exec(exec: Exec<'_>) -> Result<Started, LaunchError> {
    let (socket, child_socket) = UnixStream::pair().map_err(|e| LaunchError::new(Step::Talk, "", e))?;
    let wants_terminal = matches!(exec.stdio, Stdio::Terminal);
    let flags = joined_namespaces(exec.target_pid)?;
    match sys::clone::fork(Flags::NONE).map_err(|e| LaunchError::new(Step::Clone, "", e))? {
        Forked::Child => {
            drop(socket);
            guide(exec, flags, child_socket)
        }
        Forked::Parent(guide) => {
            drop(child_socket);
            let started = follow(&socket, wants_terminal);
            let _ = guide.wait();
            started
        }
    }
}

/// Listens to guide and program: the program's pid, its terminal, then silence when it has been executed.
fn follow(mut socket: &UnixStream, wants_terminal: bool) -> Result<Started, LaunchError> {
    let talk = |e: std::io::Error| LaunchError::new(Step::Talk, "", e);
    let mut kind = [0u8];
    if socket.read(&mut kind).map_err(talk)? == 0 || kind[0] != READY {
        return Err(launch::read_error(&mut socket, Some(kind[0])));
    }
    let mut pid = [0u8; 4];
    socket.read_exact(&mut pid).map_err(talk)?;
    let pid = i32::from_le_bytes(pid);
    // It is our own unreaped child, so the number cannot have passed to another.
    let pidfd = rustix::process::Pid::from_raw(pid)
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()))
        .map_err(|e| talk(e.into()))?;
    let fail = |mut socket: &UnixStream, kind: Option<u8>| {
        let error = launch::read_error(&mut socket, kind);
        sys::clone::reap(pid);
        Err(error)
    };
    let mut terminal = None;
    if wants_terminal {
        let (kind, master) = launch::receive(socket.as_fd(), true).map_err(talk)?;
        if kind != Some(READY) {
            return fail(socket, kind);
        }
        terminal = master;
    }
    match socket.read(&mut kind).map_err(talk)? {
        0 => Ok(Started { pid, pidfd, terminal }),
        _ => fail(socket, Some(kind[0])),
    }
}

/// The namespaces of the target that are not ours already.
fn joined_namespaces(pid: i32) -> Result<Flags, LaunchError> {
    const KINDS: [(&str, Flags); 7] = [
        ("user", Flags::NEW_USER),
        ("mnt", Flags::NEW_MOUNT),
        ("pid", Flags::NEW_PID),
        ("net", Flags::NEW_NET),
        ("ipc", Flags::NEW_IPC),
        ("uts", Flags::NEW_UTS),
        ("cgroup", Flags::NEW_CGROUP),
    ];
    let mut flags = Flags::NONE;
    for (name, flag) in KINDS {
        let theirs = rustix::fs::stat(format!("/proc/{pid}/ns/{name}")).map_err(|e| LaunchError::new(Step::Join, name, e))?;
        let ours = rustix::fs::stat(format!("/proc/self/ns/{name}")).map_err(|e| LaunchError::new(Step::Join, name, e))?;
        if (theirs.st_dev, theirs.st_ino) != (ours.st_dev, ours.st_ino) {
            flags = flags | flag;
        }
    }
    Ok(flags)
}

fn guide(exec: Exec<'_>, flags: Flags, socket: UnixStream) -> ! {
    let Ok(reporter) = socket.try_clone() else { sys::clone::exit_now(125) };
    match guide_in(exec, flags, socket) {
        Ok(()) => sys::clone::exit_now(0),
        Err(error) => init::report(reporter, &error),
    }
}

fn guide_in(exec: Exec<'_>, flags: Flags, socket: UnixStream) -> Result<(), LaunchError> {
    // The host's program must not be seen by what runs in the container (CVE-2016-9962, CVE-2019-5736).
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    sys::process::join_namespaces(exec.target, flags).map_err(|e| LaunchError::new(Step::Join, "the container", e))?;
    if flags.contains(Flags::NEW_USER) {
        let doing = |e| LaunchError::new(Step::User, "0", e);
        sys::identity::set_gids(0, 0, 0).map_err(doing)?;
        sys::identity::set_uids(0, 0, 0).map_err(doing)?;
    }
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let (mut gate_reader, gate_writer) = std::io::pipe().map_err(|e| LaunchError::new(Step::Talk, "", e))?;
    let forked = sys::clone::fork_into(Flags::SIBLING, exec.cgroup.as_ref().map(AsFd::as_fd))
        .or_else(|_| sys::clone::fork(Flags::SIBLING))
        .map_err(|e| LaunchError::new(Step::Clone, "", e))?;
    match forked {
        Forked::Child => {
            drop(gate_writer);
            // Until the guide has told our pid, nothing of ours may be said.
            let _ = gate_reader.read(&mut [0u8]);
            let Ok(reporter) = socket.try_clone() else { sys::clone::exit_now(125) };
            match program(exec, socket) {
                Err(error) => init::report(reporter, &error),
                Ok(never) => match never {},
            }
        }
        Forked::Parent(child) => {
            let mut message = vec![READY];
            message.extend(child.pid.to_le_bytes());
            (&socket).write_all(&message).map_err(|e| LaunchError::new(Step::Talk, "", e))
        }
    }
}

fn program(exec: Exec<'_>, socket: UnixStream) -> Result<init::Never, LaunchError> {
    let process = exec.process;
    let _ = rustix::process::setsid();
    let _ = sys::process::new_session_keyring();
    let doing = |e: rustix::io::Errno| LaunchError::new(Step::Join, "the container", e);
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(doing)?;
    let proc = rustix::fs::openat(&root, "proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .ok()
        .filter(is_procfs);
    let labels = identity::open_labels(process, proc.as_ref())?;
    let stdio = match exec.stdio {
        Stdio::Fds { stdin, stdout, stderr } => [stdin, stdout, stderr],
        Stdio::Terminal => {
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let devpts = rustix::fs::openat2(&root, "dev/pts", flags, Mode::empty(), resolve)
                .map_err(|e| LaunchError::new(Step::Terminal, "", e))?;
            let terminal = devices::open_terminal(devpts.as_fd(), process)?;
            rustix::process::ioctl_tiocsctty(&terminal.slave).map_err(|e| LaunchError::new(Step::Terminal, "", e))?;
            init::tell_ready(&socket, Some(&terminal.master))?;
            let duplicate = || rustix::io::fcntl_dupfd_cloexec(&terminal.slave, 3).map_err(|e| LaunchError::new(Step::Terminal, "", e));
            [duplicate()?, duplicate()?, duplicate()?]
        }
    };
    let _ = exec.config;
    init::run_program(process, exec.seccomp.as_ref(), stdio, exec.preserve_fds, false, labels, socket)
}

fn is_procfs(fd: &OwnedFd) -> bool {
    const PROC_SUPER_MAGIC: u64 = 0x9fa0;
    rustix::fs::fstatfs(fd).is_ok_and(|stat| stat.f_type as u64 == PROC_SUPER_MAGIC)
}

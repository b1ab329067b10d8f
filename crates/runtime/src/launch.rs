//! The parent's side: `spawn` clones the first process into its namespaces, `ready` waits until its root is
//! built, `start` lets it execute the program.
//!
//! Between `spawn` and `ready` the namespaces exist already, so that a network can be made beside the mounts.

use crate::error::{LaunchError, Step};
use crate::seccomp::{self, Program};
use crate::{init, sources};
use oci::runtime::{Config, NamespaceKind};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use sys::clone::{Child, Flags, Forked};

/// The root file system.
#[derive(Debug)]
pub enum Root {
    /// A directory.
    Path(PathBuf),
    /// A detached mount.
    Tree(OwnedFd),
}

/// Standard input, output and error.
#[derive(Debug)]
pub enum Stdio {
    /// Three descriptors.
    Fds {
        /// Becomes 0.
        stdin: OwnedFd,
        /// Becomes 1.
        stdout: OwnedFd,
        /// Becomes 2.
        stderr: OwnedFd,
    },
    /// A terminal of the container's own devpts; its master comes back.
    Terminal,
}

/// What is launched.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The root file system.
    pub root: Root,
    /// Standard input, output and error.
    pub stdio: Stdio,
    /// Become descriptors 3 and up.
    pub preserve_fds: Vec<OwnedFd>,
    /// Directory of the control group it is born in.
    pub cgroup: Option<OwnedFd>,
    /// A compiled filter; without one, the configuration's is compiled.
    pub seccomp: Option<Program>,
    /// Trees that stand in for the source of a mount, by its index.
    pub mount_trees: BTreeMap<usize, OwnedFd>,
    /// The first process is killed when the caller ends.
    pub die_with_parent: bool,
}

/// A first process whose namespaces exist.
#[derive(Debug)]
pub struct Spawned {
    child: Child,
    socket: UnixStream,
    terminal: bool,
}

/// A first process that waits just before the program.
#[derive(Debug)]
pub struct Created {
    /// Process id on the host.
    pub pid: i32,
    /// Descriptor of the process.
    pub pidfd: OwnedFd,
    /// Master of its terminal.
    pub terminal: Option<OwnedFd>,
    socket: UnixStream,
}

/// A program that runs.
#[derive(Debug)]
pub struct Started {
    /// Process id on the host.
    pub pid: i32,
    /// Descriptor of the process.
    pub pidfd: OwnedFd,
    /// Master of its terminal.
    pub terminal: Option<OwnedFd>,
}

/// From the child: the root is built. From the parent: go on.
pub(crate) const READY: u8 = 1;
pub(crate) const GO: u8 = 2;
pub(crate) const FAILED: u8 = 3;

/// Clones the first process. The caller must have one thread.
pub fn spawn(launch: Launch<'_>) -> Result<Spawned, LaunchError> {
    refuse_unsupported(launch.config)?;
    let linux = launch.config.linux.clone().unwrap_or_default();
    let seccomp = match (launch.seccomp, &linux.seccomp) {
        (Some(program), _) => Some(program),
        (None, Some(profile)) => Some(seccomp::compile(profile).map_err(|e| LaunchError::refused(Step::Seccomp, "", e.to_string()))?),
        (None, None) => None,
    };
    let nested = linux.namespaces.iter().any(|ns| ns.kind == NamespaceKind::User && ns.path.is_none());
    let trees = sources::open(launch.config, launch.mount_trees, &linux)?;
    let root = sources::open_root(launch.root)?;
    let joins = sources::open_namespaces(&linux)?;
    let (socket, child_socket) = UnixStream::pair().map_err(|e| LaunchError::new(Step::Talk, "", e))?;
    let terminal = matches!(launch.stdio, Stdio::Terminal);
    let mut flags = Flags::NONE;
    for namespace in linux.namespaces.iter().filter(|ns| ns.path.is_none()) {
        flags = flags | flag_of(namespace.kind);
    }
    let joins_pid = sources::join_pid_first(&joins)?;
    let forked = sys::clone::fork_into(flags, launch.cgroup.as_ref().map(AsFd::as_fd));
    if let Some(own) = joins_pid {
        // Only the child belongs there.
        let _ = sys::process::join_namespace(own);
    }
    match forked.map_err(|e| LaunchError::new(Step::Clone, "", e))? {
        Forked::Child => {
            drop(socket);
            init::run(init::Init {
                config: launch.config,
                root,
                trees,
                joins,
                stdio: launch.stdio,
                preserve_fds: launch.preserve_fds,
                seccomp,
                nested,
                die_with_parent: launch.die_with_parent,
                socket: child_socket,
            })
        }
        Forked::Parent(child) => {
            drop(child_socket);
            let mut spawned = Spawned { child, socket, terminal };
            if nested {
                write_maps(spawned.child.pid, &linux).inspect_err(|_| spawned.kill())?;
                spawned.socket.write_all(&[GO]).map_err(|e| LaunchError::new(Step::Talk, "", e))?;
            }
            Ok(spawned)
        }
    }
}

impl Spawned {
    /// Process id on the host.
    pub fn pid(&self) -> i32 {
        self.child.pid
    }

    /// Waits until the root is built.
    pub fn ready(self) -> Result<Created, LaunchError> {
        let mut socket = &self.socket;
        let (kind, terminal) = receive(socket.as_fd(), self.terminal).map_err(|e| LaunchError::new(Step::Talk, "", e))?;
        match kind {
            Some(READY) => Ok(Created { pid: self.child.pid, pidfd: self.child.pidfd, terminal, socket: self.socket }),
            _ => {
                let error = read_error(&mut socket, kind);
                let _ = self.child.wait();
                Err(error)
            }
        }
    }

    fn kill(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.child.pidfd, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Created {
    /// Lets the program begin; returns when it has been executed.
    pub fn start(self) -> Result<Started, LaunchError> {
        let mut socket = &self.socket;
        socket.write_all(&[GO]).map_err(|e| LaunchError::new(Step::Talk, "", e))?;
        let mut kind = [0u8];
        match socket.read(&mut kind) {
            // The socket closed by execution: the program runs.
            Ok(0) => Ok(Started { pid: self.pid, pidfd: self.pidfd, terminal: self.terminal }),
            Ok(_) => {
                let error = read_error(&mut socket, Some(kind[0]));
                reap(&self.pidfd);
                Err(error)
            }
            Err(e) => Err(LaunchError::new(Step::Talk, "", e)),
        }
    }
}

pub(crate) fn reap(pidfd: &OwnedFd) {
    let _ = rustix::process::waitid(rustix::process::WaitId::PidFd(pidfd.as_fd()), rustix::process::WaitIdOptions::EXITED);
}

pub(crate) fn read_error(socket: &mut impl Read, kind: Option<u8>) -> LaunchError {
    let lost = || LaunchError::refused(Step::Talk, "", "it ended without a word");
    if kind != Some(FAILED) {
        return lost();
    }
    let mut bytes = Vec::new();
    match socket.take(4096).read_to_end(&mut bytes) {
        Ok(n) if n > 0 => LaunchError::from_bytes(&bytes).unwrap_or_else(lost),
        _ => lost(),
    }
}

/// Reads one byte, and a descriptor along with it if one is expected.
pub(crate) fn receive(socket: BorrowedFd<'_>, with_fd: bool) -> io::Result<(Option<u8>, Option<OwnedFd>)> {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut byte = [0u8];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got =
        rustix::io::retry_on_intr(|| recvmsg(socket, &mut [io::IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC))?;
    let mut fd = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            fd = fds.into_iter().next().filter(|_| with_fd).or(fd);
        }
    }
    Ok(((got.bytes > 0).then_some(byte[0]), fd))
}

pub(crate) fn flag_of(kind: NamespaceKind) -> Flags {
    match kind {
        NamespaceKind::Pid => Flags::NEW_PID,
        NamespaceKind::Network => Flags::NEW_NET,
        NamespaceKind::Mount => Flags::NEW_MOUNT,
        NamespaceKind::Ipc => Flags::NEW_IPC,
        NamespaceKind::Uts => Flags::NEW_UTS,
        NamespaceKind::User => Flags::NEW_USER,
        NamespaceKind::Cgroup => Flags::NEW_CGROUP,
        // Refused before.
        NamespaceKind::Time => Flags::NONE,
    }
}

/// What asks for something we do not do is refused by name, not ignored.
fn refuse_unsupported(config: &Config) -> Result<(), LaunchError> {
    let refuse = |field: &str| Err(LaunchError::refused(Step::Config, field, "it is not supported"));
    let Some(process) = &config.process else { return Err(LaunchError::refused(Step::Config, "process", "it is missing")) };
    if process.scheduler.is_some() {
        return refuse("process.scheduler");
    }
    if process.args.is_empty() {
        return Err(LaunchError::refused(Step::Config, "process.args", "it is empty"));
    }
    if !process.cwd.starts_with('/') {
        return Err(LaunchError::refused(Step::Config, "process.cwd", "it is not absolute"));
    }
    if let Some(linux) = &config.linux {
        if linux.intel_rdt.is_some() {
            return refuse("linux.intelRdt");
        }
        if linux.seccomp.as_ref().is_some_and(|seccomp| seccomp.listener_path.is_some()) {
            return refuse("linux.seccomp.listenerPath");
        }
        if !linux.time_offsets.is_empty() || linux.namespaces.iter().any(|ns| ns.kind == NamespaceKind::Time) {
            return refuse("linux.timeOffsets");
        }
        if !linux.namespaces.iter().any(|ns| ns.kind == NamespaceKind::Mount) {
            return Err(LaunchError::refused(Step::Config, "linux.namespaces", "a mount namespace is needed"));
        }
    }
    Ok(())
}

/// Writes the id maps of a nested user namespace; its creator has the right to.
fn write_maps(pid: i32, linux: &oci::runtime::Linux) -> Result<(), LaunchError> {
    let text = |maps: &[oci::runtime::IdMapping]| {
        maps.iter().map(|m| format!("{} {} {}\n", m.container_id, m.host_id, m.size)).collect::<String>()
    };
    let write = |file: &str, text: &str| {
        let path = format!("/proc/{pid}/{file}");
        std::fs::write(&path, text).map_err(|e| LaunchError::new(Step::IdMap, path, e))
    };
    write("uid_map", &text(&linux.uid_mappings))?;
    write("gid_map", &text(&linux.gid_mappings))
}

//! The parent's side: `spawn` clones the first process into its namespaces, `ready` waits until its root is
//! built, `start` lets it execute the program.
//!
//! Between `spawn` and `ready` the namespaces exist already, so that a network can be made beside the mounts.

use crate::error::{LaunchError, Step};
use crate::hooks::{self, Identity, Status};
use crate::seccomp::{self, Program};
use crate::{idmap, init, sources};
use oci::runtime::{Config, Hook, NamespaceKind, State};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
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
    hooked: Option<Hooked>,
}

/// Hooks that are the caller's to run.
#[derive(Debug, Clone)]
struct Hooked {
    creating: Vec<Hook>,
    poststart: Vec<Hook>,
    state: State,
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
    hooked: Option<Hooked>,
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
/// From the child: the root stands, hooks may see it before it is entered.
pub(crate) const HOOKS: u8 = 4;
/// From the parent, with a listening socket: somebody else will say go.
pub(crate) const HAND_OVER: u8 = 5;

/// Clones the first process. The caller must have one thread.
pub fn spawn(launch: Launch<'_>) -> Result<Spawned, LaunchError> {
    if launch.config.hooks.as_ref().is_some_and(|hooks| !hooks::is_empty(hooks)) {
        return Err(LaunchError::refused(Step::Config, "hooks", "they can only be run for a container with an id"));
    }
    spawn_known(launch, None)
}

/// Clones the first process of a container with an id, for its hooks to know.
pub fn spawn_as(launch: Launch<'_>, identity: &Identity) -> Result<Spawned, LaunchError> {
    spawn_known(launch, Some(identity))
}

fn spawn_known(launch: Launch<'_>, identity: Option<&Identity>) -> Result<Spawned, LaunchError> {
    refuse_unsupported(launch.config)?;
    let identity = identity.filter(|_| launch.config.hooks.as_ref().is_some_and(|hooks| !hooks::is_empty(hooks)));
    let linux = launch.config.linux.clone().unwrap_or_default();
    let seccomp = match (launch.seccomp, &linux.seccomp) {
        (Some(program), _) => Some(program),
        (None, Some(profile)) => Some(seccomp::compile(profile).map_err(|e| LaunchError::refused(Step::Seccomp, "", e.to_string()))?),
        (None, None) => None,
    };
    let nested = linux.namespaces.iter().any(|ns| ns.kind == NamespaceKind::User && ns.path.is_none());
    let trees = sources::open(launch.config, launch.mount_trees, &linux)?;
    let root = sources::open_root(launch.root, &linux)?;
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
                identity,
            })
        }
        Forked::Parent(child) => {
            drop(child_socket);
            let hooked = identity.zip(launch.config.hooks.as_ref()).map(|(identity, hooks)| Hooked {
                creating: [hooks.prestart.as_slice(), &hooks.create_runtime].concat(),
                poststart: hooks.poststart.clone(),
                state: hooks::state(launch.config, identity, Status::Creating, child.pid),
            });
            let mut spawned = Spawned { child, socket, terminal, hooked };
            if nested {
                idmap::write(spawned.child.pid, &linux).inspect_err(|_| spawned.kill())?;
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

    /// Waits until the root is built; runs the hooks that see it before it is entered.
    pub fn ready(mut self) -> Result<Created, LaunchError> {
        let talk = |e: io::Error| LaunchError::new(Step::Talk, "", e);
        loop {
            let (kind, terminal) = receive(self.socket.as_fd(), self.terminal).map_err(talk)?;
            match kind {
                Some(HOOKS) => {
                    if let Some(hooked) = self.hooked.take() {
                        hooks::run(&hooked.creating, &hooked.state).inspect_err(|_| self.kill())?;
                        self.hooked = Some(hooked);
                    }
                    self.socket.write_all(&[GO]).map_err(talk)?;
                }
                Some(READY) => {
                    let Child { pid, pidfd } = self.child;
                    return Ok(Created { pid, pidfd, terminal, socket: self.socket, hooked: self.hooked });
                }
                _ => {
                    let error = read_error(&mut &self.socket, kind);
                    let _ = self.child.wait();
                    return Err(error);
                }
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
        say_go(&self.socket).inspect_err(|_| reap(&self.pidfd))?;
        if let Some(hooked) = self.hooked {
            // runtime.md#lifecycle: a hook that fails here stops the container.
            let state = State { status: Status::Running.word().to_owned(), ..hooked.state };
            hooks::run(&hooked.poststart, &state).inspect_err(|_| {
                let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
                reap(&self.pidfd);
            })?;
        }
        Ok(Started { pid: self.pid, pidfd: self.pidfd, terminal: self.terminal })
    }

    /// Leaves the start to another process: [`start_waiting`] on the listening socket. The caller may end.
    pub fn hand_over(self, listener: &UnixListener) -> Result<Waiting, LaunchError> {
        use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
        let fds = [listener.as_fd()];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(&self.socket, &[io::IoSlice::new(&[HAND_OVER])], &mut ancillary, SendFlags::NOSIGNAL)
            .map_err(|e| LaunchError::new(Step::Talk, "", e))?;
        Ok(Waiting { pid: self.pid, pidfd: self.pidfd, terminal: self.terminal })
    }
}

/// A first process that waits for a start by [`start_waiting`].
#[derive(Debug)]
pub struct Waiting {
    /// Process id on the host.
    pub pid: i32,
    /// Descriptor of the process.
    pub pidfd: OwnedFd,
    /// Master of its terminal.
    pub terminal: Option<OwnedFd>,
}

/// Starts a program whose start was handed over; returns when it has been executed. Its poststart hooks are run.
pub fn start_waiting(socket: &UnixStream, config: &Config, identity: &Identity, pid: i32) -> Result<(), LaunchError> {
    say_go(socket)?;
    match &config.hooks {
        Some(hooks) => hooks::run(&hooks.poststart, &hooks::state(config, identity, Status::Running, pid)),
        None => Ok(()),
    }
}

/// Says go and listens until the socket is closed by execution, or says why not.
fn say_go(mut socket: &UnixStream) -> Result<(), LaunchError> {
    let talk = |e: io::Error| LaunchError::new(Step::Talk, "", e);
    socket.write_all(&[GO]).map_err(talk)?;
    let mut kind = [0u8];
    match socket.read(&mut kind).map_err(talk)? {
        0 => Ok(()),
        _ => Err(read_error(&mut socket, Some(kind[0]))),
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
        // Entered by the child itself, once its clocks are set.
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
        let own = |kind: NamespaceKind| linux.namespaces.iter().any(|ns| ns.kind == kind && ns.path.is_none());
        if !linux.time_offsets.is_empty() && !own(NamespaceKind::Time) {
            return Err(LaunchError::refused(Step::Config, "linux.timeOffsets", "there is no new time namespace they could be set in"));
        }
        if linux.namespaces.iter().any(|ns| ns.kind == NamespaceKind::Mount && ns.path.is_some()) {
            return refuse("linux.namespaces: joining a mount namespace");
        }
        if !linux.namespaces.iter().any(|ns| ns.kind == NamespaceKind::Mount) {
            return Err(LaunchError::refused(Step::Config, "linux.namespaces", "a mount namespace is needed"));
        }
    }
    Ok(())
}

//! The child's side: from a fresh clone to the user's program.
//!
//! Runs in a forked process with one thread. Whatever goes wrong is sent over the socket as a step, an object
//! and an errno; nothing is printed.

use crate::error::{LaunchError, Step};
use crate::hooks::{Identity, Status};
use crate::identity;
use crate::launch::{self, FAILED, GO, HAND_OVER, HOOKS, READY, Stdio};
use crate::seccomp::Program;
use crate::sources::RootSource;
use crate::sources::Trees;
use crate::{devices, finish, hooks, masks, mounts, rootfs, sources};
use oci::runtime::{Config, Linux, NamespaceKind, Process};
use rustix::process::DumpableBehavior;
use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use sys::clone::Flags;

/// All the child works with.
pub(crate) struct Init<'a> {
    pub(crate) config: &'a Config,
    pub(crate) root: RootSource,
    pub(crate) trees: Trees,
    pub(crate) joins: Vec<(NamespaceKind, OwnedFd)>,
    pub(crate) stdio: Stdio,
    pub(crate) preserve_fds: Vec<OwnedFd>,
    pub(crate) seccomp: Option<Program>,
    pub(crate) nested: bool,
    pub(crate) die_with_parent: bool,
    pub(crate) socket: UnixStream,
    pub(crate) identity: Option<&'a Identity>,
}

/// Runs the child to its end: execution, or exit with the error told.
pub(crate) fn run(init: Init<'_>) -> ! {
    let Init { config, root, trees, joins, stdio, preserve_fds, seccomp, nested, die_with_parent, mut socket, identity } = init;
    let error = match build(config, &joins, nested, root, trees, &stdio, identity, &mut socket) {
        Err(error) => error,
        Ok(built) => {
            let finish = built.and_stdio(stdio).map(|(stdio, labels)| finish::Finish {
                stdio,
                preserve_fds,
                seccomp: seccomp.as_ref(),
                die_with_parent,
                labels,
            });
            finish.map_or_else(
                |e| e,
                |finish| finish::run(config.process.as_ref().expect("it was looked at before the clone"), finish, &mut socket),
            )
        }
    };
    report(socket, &error)
}

/// Tells the parent and ends.
pub(crate) fn report(mut socket: UnixStream, error: &LaunchError) -> ! {
    let mut message = vec![FAILED];
    message.extend(error.to_bytes());
    let _ = socket.write_all(&message);
    sys::clone::exit_now(error.exit_code())
}

/// What building leaves for the last steps.
struct Built {
    labels: Vec<identity::Label>,
    terminal: Option<devices::Terminal>,
}

impl Built {
    /// Chooses the three descriptors: the terminal's, or those that were given.
    fn and_stdio(self, given: Stdio) -> Result<([OwnedFd; 3], Vec<identity::Label>), LaunchError> {
        let stdio = match (given, self.terminal) {
            (_, Some(terminal)) => terminal.take()?,
            (Stdio::Fds { stdin, stdout, stderr }, None) => [stdin, stdout, stderr],
            (Stdio::Terminal, None) => return Err(LaunchError::refused(Step::Terminal, "", "it was not made")),
        };
        Ok((stdio, self.labels))
    }
}

#[allow(clippy::too_many_arguments)]
fn build(
    config: &Config,
    joins: &[(NamespaceKind, OwnedFd)],
    nested: bool,
    root: RootSource,
    trees: Trees,
    stdio: &Stdio,
    identity: Option<&Identity>,
    socket: &mut UnixStream,
) -> Result<Built, LaunchError> {
    let none = Linux::default();
    let linux = config.linux.as_ref().unwrap_or(&none);
    let process = config.process.as_ref().ok_or_else(|| LaunchError::refused(Step::Config, "process", "it is missing"))?;
    let own = |kind: NamespaceKind| linux.namespaces.iter().any(|ns| ns.kind == kind && ns.path.is_none());
    write_oom_score(process)?;
    if nested {
        wait_for_go(socket)?;
        become_root()?;
    }
    enter_time(linux, own(NamespaceKind::Time))?;
    // In a pid namespace of others nobody may look into us until the program is what they see (CVE-2016-9962). In
    // one of our own there is nobody, and the caller needs our namespaces.
    if own(NamespaceKind::Pid) {
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable);
    } else {
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    join(joins)?;
    let _ = rustix::process::setsid();
    // A kernel without keyrings, or a full quota, is no reason not to run.
    let _ = sys::process::new_session_keyring();
    if own(NamespaceKind::Uts) {
        set_names(config)?;
    }
    if own(NamespaceKind::Network) {
        let _ = sys::process::loopback_up();
    }
    let mut hands = rootfs::attach(sources::root_late(root)?, linux)?;
    let placed = mounts::make(config, &mut hands, trees)?;
    devices::make(config, &mut hands)?;
    let terminal = match (stdio, placed.devpts) {
        (Stdio::Terminal, Some(devpts)) => Some(devices::terminal(devpts.as_fd(), &hands, process)?),
        (Stdio::Terminal, None) => return Err(LaunchError::refused(Step::Terminal, "", "the container has no devpts at /dev/pts")),
        _ => None,
    };
    write_sysctls(&linux.sysctl, placed.proc.as_ref())?;
    masks::apply(linux, &hands)?;
    let labels = identity::open_labels(process, placed.proc.as_ref())?;
    drop(placed.proc);
    let hooked = config.hooks.as_ref().zip(identity);
    if let Some((hooks, identity)) = hooked {
        socket.write_all(&[HOOKS]).map_err(|e| LaunchError::new(Step::Talk, "", e))?;
        wait_for_go(socket)?;
        hooks::run(&hooks.create_container, &hooks::state(config, identity, Status::Creating, own_pid()))?;
    }
    rootfs::enter(&hands, config.root.as_ref().is_some_and(|root| root.readonly), linux)?;
    drop(hands);
    tell_ready(socket, terminal.as_ref().map(|t| &t.master))?;
    wait_for_start(socket)?;
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if let Some((hooks, identity)) = hooked {
        hooks::run(&hooks.start_container, &hooks::state(config, identity, Status::Created, own_pid()))?;
    }
    Ok(Built { labels, terminal })
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

fn set_names(config: &Config) -> Result<(), LaunchError> {
    let doing = |name: &str, e: rustix::io::Errno| LaunchError::new(Step::Hostname, name, e);
    if !config.hostname.is_empty() {
        rustix::system::sethostname(config.hostname.as_bytes()).map_err(|e| doing(&config.hostname, e))?;
    }
    if !config.domainname.is_empty() {
        rustix::system::setdomainname(config.domainname.as_bytes()).map_err(|e| doing(&config.domainname, e))?;
    }
    Ok(())
}

/// Makes a time namespace, sets its clocks and enters it: the order the kernel asks for (time_namespaces(7)).
fn enter_time(linux: &Linux, own: bool) -> Result<(), LaunchError> {
    if !own {
        return Ok(());
    }
    let doing = |e: std::io::Error| LaunchError::new(Step::Join, "time", e);
    sys::process::unshare(Flags::NEW_TIME).map_err(doing)?;
    let offsets: String = linux.time_offsets.iter().map(|(clock, by)| format!("{clock} {} {}\n", by.secs, by.nanosecs)).collect();
    if !offsets.is_empty() {
        // Only a process that may be looked at owns its files in /proc.
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable);
        std::fs::write("/proc/self/timens_offsets", offsets).map_err(doing)?;
    }
    let namespace = std::fs::File::open("/proc/self/ns/time_for_children").map_err(doing)?;
    sys::process::join_namespace(namespace).map_err(doing)
}

fn join(joins: &[(NamespaceKind, OwnedFd)]) -> Result<(), LaunchError> {
    for (kind, fd) in joins.iter().filter(|(kind, _)| *kind != NamespaceKind::Pid) {
        let name = format!("{kind:?}").to_lowercase();
        sys::process::join_namespace(fd).map_err(|e| LaunchError::new(Step::Join, name, e))?;
        if *kind == NamespaceKind::User {
            become_root()?;
        }
    }
    Ok(())
}

fn become_root() -> Result<(), LaunchError> {
    let doing = |e| LaunchError::new(Step::User, "0", e);
    sys::identity::set_gids(0, 0, 0).map_err(doing)?;
    sys::identity::set_uids(0, 0, 0).map_err(doing)
}

fn wait_for_go(socket: &mut UnixStream) -> Result<(), LaunchError> {
    let mut byte = [0u8];
    match socket.read(&mut byte) {
        Ok(1) if byte[0] == GO => Ok(()),
        // The parent is gone, or wants no more.
        _ => sys::clone::exit_now(125),
    }
}

/// Waits until the program may begin. The word may also come from another process: then a listening socket is
/// handed over, and whoever connects to it starts us and hears what became of it.
fn wait_for_start(socket: &mut UnixStream) -> Result<(), LaunchError> {
    let talk = |e: std::io::Error| LaunchError::new(Step::Talk, "", e);
    let listener = match launch::receive(socket.as_fd(), true).map_err(talk)? {
        (Some(GO), _) => return Ok(()),
        (Some(HAND_OVER), Some(listener)) => UnixListener::from(listener),
        // The parent is gone, or wants no more.
        _ => sys::clone::exit_now(125),
    };
    loop {
        let (stream, _) = listener.accept().map_err(talk)?;
        *socket = stream;
        let mut byte = [0u8];
        // One who hangs up without a word changes nothing.
        if matches!(socket.read(&mut byte), Ok(1)) && byte[0] == GO {
            return Ok(());
        }
    }
}

pub(crate) fn tell_ready(socket: &UnixStream, master: Option<&OwnedFd>) -> Result<(), LaunchError> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let fds = master.map(|fd| [fd.as_fd()]);
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if let Some(fds) = &fds {
        ancillary.push(SendAncillaryMessage::ScmRights(fds));
    }
    sendmsg(socket, &[IoSlice::new(&[READY])], &mut ancillary, SendFlags::NOSIGNAL)
        .map(drop)
        .map_err(|e| LaunchError::new(Step::Talk, "", e))
}

/// Done before anything else: later our files in /proc may belong to ids we are no longer.
pub(crate) fn write_oom_score(process: &Process) -> Result<(), LaunchError> {
    let Some(score) = process.oom_score_adj else { return Ok(()) };
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable);
    std::fs::write("/proc/self/oom_score_adj", score.to_string()).map_err(|e| LaunchError::new(Step::Process, "oom_score_adj", e))
}

/// Kernel parameters are written through the container's own /proc, which was mounted by us a moment ago.
fn write_sysctls(sysctls: &std::collections::BTreeMap<String, String>, proc: Option<&OwnedFd>) -> Result<(), LaunchError> {
    for (key, value) in sysctls {
        let Some(proc) = proc else {
            return Err(LaunchError::refused(Step::Sysctl, key.as_str(), "the container has no /proc of its own"));
        };
        // `net/ipv4/conf/eth0.1/forwarding`: with slashes given, dots are part of a name (sysctl(8)).
        let path = if key.contains('/') { format!("sys/{key}") } else { format!("sys/{}", key.replace('.', "/")) };
        let doing = |e: std::io::Error| LaunchError::new(Step::Sysctl, key.as_str(), e);
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
        let resolve = rustix::fs::ResolveFlags::BENEATH | rustix::fs::ResolveFlags::NO_SYMLINKS | rustix::fs::ResolveFlags::NO_XDEV;
        let file = rustix::fs::openat2(proc, path, flags, rustix::fs::Mode::empty(), resolve).map_err(|e| doing(e.into()))?;
        std::fs::File::from(file).write_all(value.as_bytes()).map_err(doing)?;
    }
    Ok(())
}

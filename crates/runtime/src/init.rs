//! The child's side: from a fresh clone to the user's program.
//!
//! Runs in a forked process with one thread. Whatever goes wrong is sent over the socket as a step, an object
//! and an errno; nothing is printed.

use crate::error::{LaunchError, Step};
use crate::launch::{FAILED, GO, READY, Stdio};
use crate::seccomp::Program;
use crate::sources::Trees;
use crate::{devices, identity, masks, mounts, program, rootfs};
use oci::runtime::{Config, NamespaceKind, Process};
use rustix::process::DumpableBehavior;
use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// All the child works with.
pub(crate) struct Init<'a> {
    pub(crate) config: &'a Config,
    pub(crate) root: OwnedFd,
    pub(crate) trees: Trees,
    pub(crate) joins: Vec<(NamespaceKind, OwnedFd)>,
    pub(crate) stdio: Stdio,
    pub(crate) preserve_fds: Vec<OwnedFd>,
    pub(crate) seccomp: Option<Program>,
    pub(crate) nested: bool,
    pub(crate) die_with_parent: bool,
    pub(crate) socket: UnixStream,
}

/// Runs the child to its end: execution, or exit with the error told.
pub(crate) fn run(init: Init<'_>) -> ! {
    let Ok(reporter) = init.socket.try_clone() else { sys::clone::exit_now(125) };
    let error = match build(init) {
        Err(error) => error,
        Ok(never) => match never {},
    };
    report(reporter, &error)
}

/// Tells the parent and ends.
pub(crate) fn report(mut socket: UnixStream, error: &LaunchError) -> ! {
    let mut message = vec![FAILED];
    message.extend(error.to_bytes());
    let _ = socket.write_all(&message);
    sys::clone::exit_now(error.exit_code())
}

pub(crate) enum Never {}

fn build(init: Init<'_>) -> Result<Never, LaunchError> {
    let Init { config, root, trees, joins, stdio, preserve_fds, seccomp, nested, die_with_parent, mut socket } = init;
    let linux = config.linux.clone().unwrap_or_default();
    let process = config.process.as_ref().ok_or_else(|| LaunchError::refused(Step::Config, "process", "it is missing"))?;
    let own = |kind: NamespaceKind| linux.namespaces.iter().any(|ns| ns.kind == kind && ns.path.is_none());
    // In a pid namespace of others nobody may look into us until the program is what they see (CVE-2016-9962). In
    // one of our own there is nobody, and the caller needs our namespaces.
    if joins.iter().any(|(kind, _)| *kind == NamespaceKind::Pid) || !own(NamespaceKind::Pid) {
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    if nested {
        wait_for_go(&mut socket)?;
        become_root()?;
    }
    join(&joins)?;
    let _ = rustix::process::setsid();
    // A kernel without keyrings, or a full quota, is no reason not to run.
    let _ = sys::process::new_session_keyring();
    if own(NamespaceKind::Uts) && !config.hostname.is_empty() {
        rustix::system::sethostname(config.hostname.as_bytes()).map_err(|e| LaunchError::new(Step::Hostname, &*config.hostname, e))?;
    }
    if own(NamespaceKind::Uts) && !config.domainname.is_empty() {
        rustix::system::setdomainname(config.domainname.as_bytes())
            .map_err(|e| LaunchError::new(Step::Hostname, &*config.domainname, e))?;
    }
    if own(NamespaceKind::Network) {
        let _ = sys::process::loopback_up();
    }
    write_oom_score(process)?;
    let mut hands = rootfs::attach(root, &linux)?;
    let placed = mounts::make(config, &mut hands, trees)?;
    devices::make(config, &mut hands)?;
    let terminal = match (&stdio, placed.devpts) {
        (Stdio::Terminal, Some(devpts)) => Some(devices::terminal(devpts.as_fd(), &hands, process)?),
        (Stdio::Terminal, None) => return Err(LaunchError::refused(Step::Terminal, "", "the container has no devpts at /dev/pts")),
        _ => None,
    };
    write_sysctls(&linux.sysctl, placed.proc.as_ref())?;
    masks::apply(&linux, &hands)?;
    let labels = identity::open_labels(process, placed.proc.as_ref())?;
    rootfs::enter(&hands, config.root.as_ref().is_some_and(|root| root.readonly), &linux)?;
    drop(hands);
    tell_ready(&socket, terminal.as_ref().map(|t| &t.master))?;
    wait_for_go(&mut socket)?;
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let stdio = match (stdio, terminal) {
        (_, Some(terminal)) => {
            drop(terminal.master);
            let duplicate = || rustix::io::fcntl_dupfd_cloexec(&terminal.slave, 3).map_err(|e| LaunchError::new(Step::Terminal, "", e));
            rustix::process::ioctl_tiocsctty(&terminal.slave).map_err(|e| LaunchError::new(Step::Terminal, "", e))?;
            [duplicate()?, duplicate()?, duplicate()?]
        }
        (Stdio::Fds { stdin, stdout, stderr }, None) => [stdin, stdout, stderr],
        (Stdio::Terminal, None) => return Err(LaunchError::refused(Step::Terminal, "", "it was not made")),
    };
    run_program(process, seccomp.as_ref(), stdio, preserve_fds, die_with_parent, labels, socket)
}

/// The last steps, shared with `exec`: limits, directory, ids, capabilities, filter, program.
pub(crate) fn run_program(
    process: &Process,
    seccomp: Option<&Program>,
    stdio: [OwnedFd; 3],
    preserve_fds: Vec<OwnedFd>,
    die_with_parent: bool,
    labels: Vec<identity::Label>,
    socket: UnixStream,
) -> Result<Never, LaunchError> {
    identity::set_rlimits(process)?;
    identity::set_io_priority(process)?;
    place_descriptors(stdio, preserve_fds, &socket)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(process.user.umask.unwrap_or(0o022) & 0o777));
    identity::write_labels(labels)?;
    let filter_late = process.no_new_privileges;
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(|e| LaunchError::new(Step::Process, "no_new_privs", e))?;
    }
    identity::change_user(process)?;
    // As the user, so that what the user may not enter is not entered.
    program::enter_directory(&process.cwd)?;
    let program = program::prepare(process)?;
    // The caller may work with signals blocked; the program begins with none.
    sys::signal::set_mask(&sys::signal::SignalSet::empty()).map_err(|e| LaunchError::new(Step::Process, "signals", e))?;
    if let (false, Some(filter)) = (filter_late, seccomp) {
        // Becoming a user that is not root took the capability to load it out of force, but not away.
        sys::capability::raise_effective().map_err(|e| LaunchError::new(Step::Capabilities, "", e))?;
        load(filter)?;
    }
    identity::set_capabilities(process)?;
    if die_with_parent {
        // Cleared by the changes of ids above, so it comes last.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .map_err(|e| LaunchError::new(Step::Process, "death signal", e))?;
        if is_orphaned(&socket) {
            sys::clone::exit_now(125);
        }
    }
    if let (true, Some(filter)) = (filter_late, seccomp) {
        load(filter)?;
    }
    Err(program.execute())
}

fn load(filter: &Program) -> Result<(), LaunchError> {
    sys::seccomp::load(&filter.instructions, filter.flags).map_err(|e| LaunchError::new(Step::Seccomp, "", e))
}

/// The parent may have died before the death signal was set; then its end of the socket is closed.
fn is_orphaned(socket: &UnixStream) -> bool {
    let mut fds = [rustix::event::PollFd::new(socket, rustix::event::PollFlags::empty())];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(rustix::event::poll(&mut fds, Some(&now)), Ok(n) if n > 0 && fds[0].revents().contains(rustix::event::PollFlags::HUP))
}

/// Puts the three and the preserved ones in their places; all others close at execution.
fn place_descriptors(stdio: [OwnedFd; 3], preserve_fds: Vec<OwnedFd>, socket: &UnixStream) -> Result<(), LaunchError> {
    let doing = |e: rustix::io::Errno| LaunchError::new(Step::Process, "descriptors", e);
    // Lifted above their places first, so that none is overwritten before it is put there.
    let floor = 3 + preserve_fds.len() as i32 + 1;
    let lifted = preserve_fds.iter().map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, floor).map_err(doing)).collect::<Result<Vec<_>, _>>()?;
    let [stdin, stdout, stderr] = stdio;
    let lift = |fd: OwnedFd| rustix::io::fcntl_dupfd_cloexec(&fd, floor).map_err(doing);
    let (stdin, stdout, stderr) = (lift(stdin)?, lift(stdout)?, lift(stderr)?);
    rustix::stdio::dup2_stdin(&stdin).map_err(doing)?;
    rustix::stdio::dup2_stdout(&stdout).map_err(doing)?;
    rustix::stdio::dup2_stderr(&stderr).map_err(doing)?;
    drop((stdin, stdout, stderr));
    sys::process::close_on_exec_from(3).map_err(|e| LaunchError::new(Step::Process, "descriptors", e))?;
    if !lifted.is_empty() {
        // The socket has to survive until execution; it must not stand where a preserved one goes.
        let socket_number = socket.as_raw_fd();
        for (place, fd) in (3..).zip(&lifted) {
            if place == socket_number {
                return Err(LaunchError::refused(Step::Process, "descriptors", "too few were open before"));
            }
            sys::process::duplicate_to(fd, place).map_err(|e| LaunchError::new(Step::Process, "descriptors", e))?;
        }
    }
    Ok(())
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

fn write_oom_score(process: &Process) -> Result<(), LaunchError> {
    let Some(score) = process.oom_score_adj else { return Ok(()) };
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

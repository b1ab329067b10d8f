//! The last steps of a first process and of an executed one: limits, descriptors, ids, capabilities, filter, program.

use crate::error::{LaunchError, Step};
use crate::seccomp::Program;
use crate::{identity, program};
use oci::runtime::Process;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// What they work with, besides the process wished for.
pub(crate) struct Finish<'a> {
    pub(crate) stdio: [OwnedFd; 3],
    pub(crate) preserve_fds: Vec<OwnedFd>,
    pub(crate) seccomp: Option<&'a Program>,
    pub(crate) die_with_parent: bool,
    pub(crate) labels: Vec<identity::Label>,
}

/// Executes the program; returns only why not.
pub(crate) fn run(process: &Process, finish: Finish<'_>, socket: &mut UnixStream) -> LaunchError {
    match prepare(process, finish, socket) {
        Ok(program) => program.execute(),
        Err(error) => error,
    }
}

fn prepare(process: &Process, finish: Finish<'_>, socket: &mut UnixStream) -> Result<program::Program, LaunchError> {
    let Finish { stdio, preserve_fds, seccomp, die_with_parent, labels } = finish;
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    identity::set_rlimits(process)?;
    identity::set_io_priority(process)?;
    identity::write_labels(labels)?;
    place_descriptors(stdio, preserve_fds, socket)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(process.user.umask.unwrap_or(0o022) & 0o777));
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
    Ok(program)
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
fn place_descriptors(stdio: [OwnedFd; 3], preserve_fds: Vec<OwnedFd>, socket: &mut UnixStream) -> Result<(), LaunchError> {
    let doing = |e: rustix::io::Errno| LaunchError::new(Step::Process, "descriptors", e);
    // Lifted above their places first, so that none is overwritten before it is put there, and none that is
    // closed later has the number of a place.
    let floor = 3 + preserve_fds.len() as i32;
    let lift = |fd: OwnedFd| rustix::io::fcntl_dupfd_cloexec(&fd, floor).map_err(doing);
    let preserved = preserve_fds.into_iter().map(lift).collect::<Result<Vec<_>, _>>()?;
    let [stdin, stdout, stderr] = stdio.map(lift);
    let (stdin, stdout, stderr) = (stdin?, stdout?, stderr?);
    if socket.as_raw_fd() < floor {
        *socket = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(&*socket, floor).map_err(doing)?);
    }
    rustix::stdio::dup2_stdin(&stdin).map_err(doing)?;
    rustix::stdio::dup2_stdout(&stdout).map_err(doing)?;
    rustix::stdio::dup2_stderr(&stderr).map_err(doing)?;
    sys::process::close_on_exec_from(3).map_err(|e| LaunchError::new(Step::Process, "descriptors", e))?;
    for (place, fd) in (3..).zip(&preserved) {
        sys::process::duplicate_to(fd, place).map_err(|e| LaunchError::new(Step::Process, "descriptors", e))?;
    }
    Ok(())
}

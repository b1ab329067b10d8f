//! Hooks: programs run at points of a container's life, told of it on their standard input
//! (runtime-spec config.md#posix-platform-hooks).

use crate::error::{LaunchError, Step};
use oci::runtime::{Config, Hook, Hooks, State};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// How a container is called in what hooks are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: String,
    /// Its bundle directory.
    pub bundle: String,
}

/// Points of a life, as the state names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Its namespaces exist.
    Creating,
    /// Its program waits.
    Created,
    /// Its program runs.
    Running,
    /// Its program has ended.
    Stopped,
}

impl Status {
    /// The word of the specification (runtime.md#state).
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

/// The state of a container as hooks and `state` tell it.
pub fn state(config: &Config, identity: &Identity, status: Status, pid: i32) -> State {
    State {
        oci_version: config.oci_version.clone(),
        id: identity.id.clone(),
        status: status.word().to_owned(),
        pid,
        bundle: identity.bundle.clone(),
        annotations: config.annotations.clone(),
    }
}

/// Tells whether anything has to be run.
pub(crate) fn is_empty(hooks: &Hooks) -> bool {
    let Hooks { prestart, create_runtime, create_container, start_container, poststart, poststop } = hooks;
    [prestart, create_runtime, create_container, start_container, poststart, poststop].iter().all(|list| list.is_empty())
}

/// Runs the hooks that follow the container's end. All are run; the first error is returned.
pub fn run_poststop(config: &Config, identity: &Identity) -> Result<(), LaunchError> {
    let Some(hooks) = &config.hooks else { return Ok(()) };
    let state = state(config, identity, Status::Stopped, 0);
    let mut first_error = None;
    for hook in &hooks.poststop {
        if let Err(error) = run(std::slice::from_ref(hook), &state) {
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Runs hooks one after the other; the first that fails ends it.
pub(crate) fn run(hooks: &[Hook], state: &State) -> Result<(), LaunchError> {
    let text = serde_json::to_string(state).map_err(|e| LaunchError::refused(Step::Hook, "", e.to_string()))?;
    hooks.iter().try_for_each(|hook| run_one(hook, &text))
}

fn run_one(hook: &Hook, state: &str) -> Result<(), LaunchError> {
    let doing = |e: std::io::Error| LaunchError::new(Step::Hook, hook.path.as_str(), e);
    if !hook.path.starts_with('/') {
        return Err(LaunchError::refused(Step::Hook, hook.path.as_str(), "its path is not absolute"));
    }
    if hook.timeout.is_some_and(|seconds| seconds <= 0) {
        return Err(LaunchError::refused(Step::Hook, hook.path.as_str(), "its timeout is not positive"));
    }
    let mut command = Command::new(&hook.path);
    if let Some((name, args)) = hook.args.split_first() {
        command.arg0(name).args(args);
    }
    command.env_clear().envs(hook.env.iter().filter_map(|entry| entry.split_once('=')));
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(doing)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook need not read it. The state fits into the pipe, so a hook that never reads does not stop us.
        let _ = stdin.write_all(state.as_bytes());
    }
    let status = wait(&mut child, hook.timeout).map_err(doing)?;
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(LaunchError::refused(Step::Hook, hook.path.as_str(), format!("it ended with {status}"))),
        None => Err(LaunchError::refused(Step::Hook, hook.path.as_str(), "it took longer than its timeout and was killed")),
    }
}

/// Waits for the end; `None` when it had to be killed.
fn wait(child: &mut Child, timeout: Option<i64>) -> std::io::Result<Option<ExitStatus>> {
    let Some(seconds) = timeout else { return child.wait().map(Some) };
    let pid = rustix::process::Pid::from_child(child);
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    if rustix::event::poll(&mut fds, Some(&limit))? > 0 {
        return child.wait().map(Some);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

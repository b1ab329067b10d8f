//! `exec`: one more program in a container that runs. It goes straight from the command into the namespaces;
//! no monitor is asked and no lock is taken.

use super::record::{ContainerRecord, RunState};
use super::{signal, status};
use crate::error::{Cure, Error, ErrorKind, Result};
use crate::json;
use crate::open::Engine;
use crate::plan::capabilities;
use crate::user::Accounts;
use crate::{cgroup, filter};
use oci::runtime::{Capabilities, Config, Process};
use std::os::fd::{AsFd, OwnedFd};

/// What `exec` was told.
#[derive(Debug, Default)]
pub struct ExecOptions {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Variables on top of the container's.
    pub env: Vec<(String, String)>,
    /// User, as `user[:group]`.
    pub user: Option<String>,
    /// Working directory.
    pub workdir: Option<String>,
    /// A terminal of its own.
    pub terminal: bool,
    /// Standard input is handed on.
    pub interactive: bool,
    /// All capabilities, no filter.
    pub privileged: bool,
    /// Nobody stays with it: its output goes nowhere.
    pub detach: bool,
    /// Descriptors from 3 on.
    pub preserve_fds: Vec<OwnedFd>,
}

/// Starts the program; the caller is its parent and reaps it.
pub fn exec(engine: &Engine, record: &ContainerRecord, options: ExecOptions) -> Result<runtime::Started> {
    let look = status::look(engine, &record.id)?;
    let not_running = || {
        Error::new(ErrorKind::WrongState, "can only create exec sessions on running containers: container state improper")
            .with_cure(Cure::StartFirst { container: record.name.to_string() })
    };
    let run = look.run.filter(|run| run.init_pid > 0 && !run.waiting).ok_or_else(not_running)?;
    let init = signal::open_init(&run).ok_or_else(not_running)?;
    let config: Config = json::load(&engine.paths.container_run(&record.id).join("config.json"))?.ok_or_else(not_running)?;
    let process = plan(&run, record, &config, &options)?;
    let seccomp = if options.privileged { None } else { filter::of_running(engine, record)? };
    let stdio = stdio(&options)?;
    runtime::exec(runtime::Exec {
        target: init.as_fd(),
        target_pid: run.init_pid,
        config: &config,
        process: &process,
        stdio,
        preserve_fds: options.preserve_fds,
        cgroup: run.cgroup.as_deref().and_then(cgroup::open_for_exec),
        seccomp,
    })
    .map_err(|error| {
        let kind = match error.exit_code() {
            127 => ErrorKind::ProgramNotFound,
            126 => ErrorKind::ProgramNotExecutable,
            _ => ErrorKind::NotPermitted,
        };
        Error::because(kind, format!("executing in container {:?}", record.name.as_str()), error)
    })
}

/// The container's own program, with other words where the user gave some.
fn plan(run: &RunState, record: &ContainerRecord, config: &Config, options: &ExecOptions) -> Result<Process> {
    let mut process = config
        .process
        .clone()
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("reading the configuration of container {:?}", record.name.as_str())))?;
    if options.command.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, "must provide a non-empty command to start an exec session: invalid argument"));
    }
    process.args = options.command.clone();
    process.terminal = options.terminal;
    process.oom_score_adj = None;
    if let Some(dir) = &options.workdir {
        if !dir.starts_with('/') {
            return Err(Error::new(ErrorKind::InvalidInput, format!("the working directory {dir:?} is not an absolute path")));
        }
        process.cwd = dir.clone();
    }
    if let Some(wish) = &options.user {
        let root = rustix::fs::open(
            format!("/proc/{}/root", run.init_pid),
            rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )
        .map_err(|e| Error::io(format!("opening the root of container {:?}", record.name.as_str()), e))?;
        let user = Accounts::read(&root)?.resolve(wish, &[])?;
        let was_root = process.user.uid == 0;
        process.user.uid = user.uid;
        process.user.gid = user.gid;
        process.user.additional_gids = user.groups;
        set(&mut process.env, "HOME", &user.home);
        if let Some(caps) = &mut process.capabilities {
            change_user(caps, was_root, user.uid == 0);
        }
    }
    if options.privileged {
        let all: Vec<String> = capabilities::ALL.iter().map(|cap| (*cap).to_owned()).collect();
        process.capabilities =
            Some(Capabilities { bounding: all.clone(), effective: all.clone(), permitted: all, ..Capabilities::default() });
        process.no_new_privileges = false;
    }
    if options.terminal {
        set_default(&mut process.env, "TERM", "xterm");
    }
    for (key, value) in &options.env {
        set(&mut process.env, key, value);
    }
    Ok(process)
}

/// Root has what the container may have; others have nothing in force.
fn change_user(caps: &mut Capabilities, was_root: bool, is_root: bool) {
    if is_root {
        let bounding = caps.bounding.clone();
        *caps = Capabilities { effective: bounding.clone(), permitted: bounding.clone(), bounding, ..Capabilities::default() };
    } else if was_root {
        *caps = Capabilities { bounding: caps.bounding.clone(), ..Capabilities::default() };
    }
}

fn set(env: &mut Vec<String>, key: &str, value: &str) {
    let prefix = format!("{key}=");
    env.retain(|entry| !entry.starts_with(&prefix));
    env.push(format!("{prefix}{value}"));
}

fn set_default(env: &mut Vec<String>, key: &str, value: &str) {
    let prefix = format!("{key}=");
    if !env.iter().any(|entry| entry.starts_with(&prefix)) {
        env.push(format!("{prefix}{value}"));
    }
}

/// Our own descriptors, without anybody in between.
fn stdio(options: &ExecOptions) -> Result<runtime::Stdio> {
    if options.terminal {
        return Ok(runtime::Stdio::Terminal);
    }
    let doing = |e: rustix::io::Errno| Error::io("handing our descriptors on", e);
    let null =
        || rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty()).map_err(doing);
    let duplicate = |fd: std::os::fd::BorrowedFd<'_>| {
        rustix::io::fcntl_dupfd_cloexec(fd, 3).or_else(|_| null().map_err(|_| rustix::io::Errno::BADF)).map_err(doing)
    };
    Ok(runtime::Stdio::Fds {
        stdin: if options.interactive { duplicate(rustix::stdio::stdin())? } else { null()? },
        stdout: if options.detach { null()? } else { duplicate(rustix::stdio::stdout())? },
        stderr: if options.detach { null()? } else { duplicate(rustix::stdio::stderr())? },
    })
}

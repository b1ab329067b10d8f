//! `start`: forks the monitor, which makes the container and stays with it; returns once the program runs.
//!
//! ```text
//! command ── clone (new user+mount namespace) ──► monitor ── runtime::spawn ──► init ── exec ──► program
//!    │ newuidmap ‖ newgidmap                        ▲ waits for its ids
//!    └ waits for the report: started, or the error
//! ```

use super::lock::{AliveLock, VerbLock};
use super::record::ContainerRecord;
use super::{find, launch, status};
use crate::error::{Error, ErrorKind, Result, WireError};
use crate::namespace::{self, Gate};
use crate::open::Engine;
use crate::{ports, subids};
use serde::{Deserialize, Serialize};
use spec::ContainerId;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use sys::clone::{Flags, Forked};

/// What `start` was told.
#[derive(Debug, Default)]
pub struct StartOptions {
    /// A session is attached from the first byte on.
    pub attach: bool,
    /// Descriptors of the caller handed on from 3 on (`--preserve-fds`).
    pub preserve_fds: Vec<OwnedFd>,
}

/// A container that runs.
#[derive(Debug)]
pub struct Started {
    /// Process id of its first process, on the host; 0 when it ran already.
    pub pid: i32,
    /// The session, when one was asked for.
    pub session: Option<OwnedFd>,
    /// It ran before; nothing was done.
    pub was_running: bool,
}

/// What the monitor tells the command that made it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The program runs.
    Started {
        /// Process id of the first process.
        pid: i32,
    },
    /// It does not.
    Failed(WireError),
}

/// Starts a container.
pub fn start(engine: &Engine, id: &ContainerId, options: StartOptions) -> Result<Started> {
    let verb = VerbLock::take(engine, id)?;
    let record = find::load(engine, id)?;
    start_locked(engine, record, options, verb)
}

fn start_locked(engine: &Engine, record: ContainerRecord, options: StartOptions, verb: VerbLock) -> Result<Started> {
    crate::paths::make_private(&engine.paths.container_run(&record.id))?;
    let Some(alive) = AliveLock::try_take(engine, &record.id)? else {
        return Ok(Started { pid: 0, session: None, was_running: true });
    };
    status::settle(engine, &record.id)?;
    status::clear_run_dir(engine, &record.id);
    ports::check_free(&record.ports)?;
    let doing = || format!("starting container {:?}", record.name.as_str());
    let (mut report_reader, report_writer) = std::io::pipe().map_err(|e| Error::io(doing(), e))?;
    let (session, first_client) = if options.attach {
        let pair = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|e| Error::io(doing(), e))?;
        (Some(pair.0), Some(pair.1))
    } else {
        (None, None)
    };
    let host = if namespace::is_inside() { None } else { monitor_to_join(engine, &record)? };
    let rootless = !namespace::is_inside() && host.is_none();
    let maps = if rootless { Some(subids::engine_maps(engine.uid, engine.gid)?) } else { None };
    let gate = if rootless { Some(Gate::new()?) } else { None };
    let forked = if rootless {
        namespace::fork_into_namespace()?
    } else {
        let flags = if host.is_some() { Flags::NONE } else { Flags::NEW_MOUNT };
        sys::clone::fork(flags).map_err(|e| Error::io(doing(), e))?
    };
    match forked {
        Forked::Child => {
            // The lock is the command's; a monitor that held on to it would wait for itself.
            drop((report_reader, session, verb));
            let code = launch::monitor_main(
                engine,
                record,
                launch::Inherited {
                    entry: match (gate, host) {
                        (Some(gate), _) => launch::Entry::Mapped(gate),
                        (None, Some(pid)) => launch::Entry::Joined(pid),
                        (None, None) => launch::Entry::Root,
                    },
                    report: report_writer,
                    first_client,
                    alive,
                    preserve_fds: options.preserve_fds,
                },
            );
            sys::clone::exit_now(code)
        }
        Forked::Parent(child) => {
            drop((report_writer, first_client, alive));
            let mapped = match (&maps, gate) {
                (Some(maps), Some(gate)) => {
                    let mapped = namespace::write_maps(child.pid, maps);
                    gate.open(mapped.is_ok());
                    mapped
                }
                _ => Ok(()),
            };
            let mut text = Vec::new();
            let read = report_reader.read_to_end(&mut text);
            mapped?;
            read.map_err(|e| Error::io(doing(), e))?;
            match serde_json::from_slice::<Report>(&text) {
                Ok(Report::Started { pid }) => Ok(Started { pid, session, was_running: false }),
                Ok(Report::Failed(wire)) => {
                    // It leaves at once; reap it, so that a caller with many children is not littered.
                    let _ = child.wait();
                    Err(Error::from(wire))
                }
                Err(_) => {
                    let status = child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
                    Err(Error::new(ErrorKind::Internal, format!("{}: the monitor ended early ({status})", doing())))
                }
            }
        }
    }
}

/// The monitor of the container whose namespaces are shared, if any are.
fn monitor_to_join(engine: &Engine, record: &ContainerRecord) -> Result<Option<i32>> {
    use spec::container::{IpcMode, NamespaceMode};
    let spec = &record.spec;
    let simple = |mode: &NamespaceMode| match mode {
        NamespaceMode::Container(typed) => Some(typed.clone()),
        _ => None,
    };
    let network = match &spec.network.mode {
        spec::network::NetworkMode::Container(typed) => Some(typed.clone()),
        _ => None,
    };
    let ipc = match &spec.ipc_namespace {
        IpcMode::Container(typed) => Some(typed.clone()),
        _ => None,
    };
    let user = match &spec.user_namespace.mode {
        spec::identity::UserNamespaceMode::Container(typed) => Some(typed.clone()),
        _ => None,
    };
    let named = [network, ipc, user, simple(&spec.pid_namespace), simple(&spec.uts_namespace), simple(&spec.cgroup_namespace)];
    let Some(typed) = named.into_iter().flatten().next() else { return Ok(None) };
    let other = find::find(engine, &typed)?;
    Ok(status::look(engine, &other.id)?.run.map(|run| run.monitor_pid))
}

impl Report {
    /// Sends the report; the command reads to the end of the pipe.
    pub(crate) fn send(&self, mut pipe: std::io::PipeWriter) {
        let text = serde_json::to_vec(self).unwrap_or_default();
        // A command that is gone does not keep the container from running.
        let _ = pipe.write_all(&text);
    }
}

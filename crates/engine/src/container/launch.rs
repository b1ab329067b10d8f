//! The monitor's side of a start: from a record to a running program, and what follows its end.
//!
//! Runs in a process of its own, single-threaded, inside the engine namespace and its own mount namespace:
//! everything mounted here dies with it. The order keeps the slow helper busy beside our own work:
//! root → plan → init cloned → network helper spawned → init builds its mounts → both awaited → program.

use super::lock::AliveLock;
use super::record::{ContainerRecord, ExitRecord, RunState};
use super::start::Report;
use super::{remove, status};
use crate::error::{Error, ErrorKind, Result};
use crate::json::{self, Durability};
use crate::namespace::{self, Gate};
use crate::open::Engine;
use crate::{cgroup, facts, filter, host, hostfiles, net, plan, roots, volume};
use spec::log::LogDriver;
use std::io::PipeWriter;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// What the monitor inherits from the command.
pub(crate) struct Inherited {
    pub(crate) entry: Entry,
    pub(crate) report: PipeWriter,
    pub(crate) first_client: Option<OwnedFd>,
    pub(crate) alive: AliveLock,
    pub(crate) preserve_fds: Vec<OwnedFd>,
}

/// How the monitor becomes root over what it works with.
pub(crate) enum Entry {
    /// It is real root.
    Root,
    /// In a namespace of its own, once its ids are mapped.
    Mapped(Gate),
    /// In the namespace of this monitor.
    Joined(i32),
}

/// A run, as far as it has come.
pub(crate) struct Running {
    pub(crate) channels: monitor::Channels,
    pub(crate) init: OwnedFd,
    pub(crate) state: RunState,
    network: Option<net::Helper>,
    cgroup: Option<cgroup::Own>,
}

/// The monitor's whole life; returns its exit code.
pub(crate) fn monitor_main(engine: &Engine, record: ContainerRecord, inherited: Inherited) -> i32 {
    let Inherited { entry, report, first_client, alive, preserve_fds } = inherited;
    let entered = match entry {
        Entry::Mapped(gate) => gate.pass(),
        Entry::Joined(pid) => namespace::join_monitor(pid),
        Entry::Root => namespace::separate_mounts(),
    };
    let driver = record.spec.log.driver.unwrap_or(LogDriver::K8sFile);
    let passthrough = matches!(driver, LogDriver::Passthrough | LogDriver::PassthroughTty);
    let launched = entered.and_then(|()| detach(passthrough)).and_then(|()| {
        let listener = listen(engine, &record)?;
        let log = open_log(&record)?;
        launch(engine, &record, preserve_fds, 0, passthrough).map(|running| (running, log, listener))
    });
    let (running, log, listener) = match launched {
        Ok(launched) => launched,
        Err(error) => {
            fail(engine, &record, &error);
            Report::Failed(error.to_wire()).send(report);
            return 125;
        }
    };
    Report::Started { pid: running.state.init_pid }.send(report);
    supervise(engine, &record, running, log, listener, first_client);
    drop(alive);
    0
}

/// Leaves the caller's session and terminal.
fn detach(passthrough: bool) -> Result<()> {
    let doing = |e: rustix::io::Errno| Error::io("leaving the caller's session", e);
    if !passthrough {
        rustix::process::setsid().map_err(doing)?;
        let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())
            .map_err(doing)?;
        rustix::stdio::dup2_stdin(&null).map_err(doing)?;
        rustix::stdio::dup2_stdout(&null).map_err(doing)?;
        rustix::stdio::dup2_stderr(&null).map_err(doing)?;
    }
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(doing)?;
    // What the caller left open for us is nobody's business any more; a pipe held open would keep others waiting.
    sys::process::close_inherited();
    let _ = rustix::process::chdir("/");
    Ok(())
}

/// The socket of `attach`.
fn listen(engine: &Engine, record: &ContainerRecord) -> Result<OwnedFd> {
    let path = engine.paths.container_run(&record.id).join("attach.sock");
    monitor::attach::listen(&path).map_err(|e| Error::io("making the attach socket", e))
}

fn open_log(record: &ContainerRecord) -> Result<Box<dyn monitor::logs::LogWriter>> {
    let config = log_config(record);
    monitor::logs::open(&config).map_err(|e| Error::because(ErrorKind::Unavailable, "opening the log", e))
}

/// How the container's output is kept, in the monitor's words.
pub(crate) fn log_config(record: &ContainerRecord) -> monitor::logs::LogConfig {
    let log = &record.spec.log;
    monitor::logs::LogConfig {
        driver: log.driver.unwrap_or(LogDriver::K8sFile),
        path: record.log_path.as_deref().map(PathBuf::from).unwrap_or_default(),
        max_size: log.max_size,
        max_files: log.max_files,
        identity: monitor::logs::LogIdentity {
            container_id: record.id.to_string(),
            container_name: record.name.to_string(),
            image_name: record.image.as_ref().map(|image| image.name.clone()).unwrap_or_default(),
            tag: log.tag.clone().unwrap_or_default(),
            labels: log.labels.iter().filter_map(|label| label.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        },
    }
}

/// Makes the container and runs its program.
fn launch(engine: &Engine, record: &ContainerRecord, preserve_fds: Vec<OwnedFd>, restarts: u32, passthrough: bool) -> Result<Running> {
    let run_dir = engine.paths.container_run(&record.id);
    let root = roots::mount(engine, record)?;
    let mut facts = facts::gather(engine, record, root.as_fd())?;
    facts.host_files = hostfiles::write(engine, record, root.as_fd(), &facts)?;
    volume::prepare(engine, record, root.as_fd(), &mut facts)?;
    let mut own_cgroup = cgroup::create(engine, record)?;
    facts.cgroups_path = own_cgroup.as_ref().map(|own| own.path.clone());
    let mut config = plan::config(record, &facts)?;
    roots::make_workdir(root.as_fd(), &config, record)?;
    let mount_trees = volume::trees(engine, record, &config)?;
    if let Some(own) = &mut own_cgroup {
        own.limit(record, &config)?;
    } else {
        cgroup::refuse_limits(record)?;
    }
    let seccomp = filter::program(engine, record, &config)?;
    let (stdio, mut ends) = make_stdio(record, passthrough)?;
    let spawned = runtime::spawn(runtime::Launch {
        config: &config,
        root: runtime::Root::Tree(root),
        stdio,
        preserve_fds,
        cgroup: own_cgroup.as_ref().map(cgroup::Own::directory).transpose()?,
        seccomp,
        mount_trees,
        die_with_parent: true,
    })
    .map_err(launch_error)?;
    let mut network = net::begin(engine, record, spawned.pid(), &facts)?;
    let created = spawned.ready().map_err(launch_error)?;
    if let Some(network) = &mut network {
        network.wait_ready(record)?;
    }
    let state = RunState {
        monitor_pid: rustix::process::getpid().as_raw_nonzero().get(),
        init_pid: created.pid,
        init_start_time: host::start_time(created.pid).unwrap_or(0),
        started: host::now(),
        restarts,
        cgroup: own_cgroup.as_ref().map(|own| own.path.clone()),
        network_pid: network.as_ref().and_then(net::Helper::pid),
        network_mode: super::inspect::network_mode(record),
        waiting: false,
        paused: false,
    };
    // The bundle as `exec` and `inspect` read it; written before the program runs, so that it is there when asked for.
    if let Some(root) = &mut config.root {
        root.path = "/".to_owned();
    }
    json::save(&run_dir.join("config.json"), &config, Durability::Fleeting)?;
    json::save(&run_dir.join("state.json"), &state, Durability::Fleeting)?;
    write_pidfiles(record, &state)?;
    let started = created.start().map_err(launch_error)?;
    let channels = match (started.terminal, ends.take()) {
        (Some(master), _) => monitor::Channels::Terminal(master),
        (None, Some(pipes)) => monitor::Channels::Pipes { stdin: pipes.stdin, stdout: pipes.stdout, stderr: pipes.stderr },
        (None, None) => monitor::Channels::Inherited,
    };
    Ok(Running { channels, init: started.pidfd, state, network, cgroup: own_cgroup })
}

struct PipeEnds {
    stdin: Option<OwnedFd>,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

fn make_stdio(record: &ContainerRecord, passthrough: bool) -> Result<(runtime::Stdio, Option<PipeEnds>)> {
    let doing = |e: rustix::io::Errno| Error::io("making the container's pipes", e);
    if record.spec.process.terminal && !passthrough {
        return Ok((runtime::Stdio::Terminal, None));
    }
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(doing);
    if passthrough {
        let duplicate = |fd: std::os::fd::BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(doing);
        return Ok((
            runtime::Stdio::Fds {
                stdin: duplicate(rustix::stdio::stdin())?,
                stdout: duplicate(rustix::stdio::stdout())?,
                stderr: duplicate(rustix::stdio::stderr())?,
            },
            None,
        ));
    }
    let (stdin, stdin_end) = if record.spec.process.interactive {
        let (reader, writer) = pipe()?;
        (reader, Some(writer))
    } else {
        (
            rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())
                .map_err(doing)?,
            None,
        )
    };
    let (stdout_end, stdout) = pipe()?;
    let (stderr_end, stderr) = pipe()?;
    Ok((runtime::Stdio::Fds { stdin, stdout, stderr }, Some(PipeEnds { stdin: stdin_end, stdout: stdout_end, stderr: stderr_end })))
}

fn launch_error(error: runtime::LaunchError) -> Error {
    let kind = match error.exit_code() {
        127 => ErrorKind::ProgramNotFound,
        126 => ErrorKind::ProgramNotExecutable,
        _ => ErrorKind::NotPermitted,
    };
    Error::because(kind, "starting the container", error)
}

fn write_pidfiles(record: &ContainerRecord, state: &RunState) -> Result<()> {
    for (path, pid) in [(&record.spec.pidfile, state.init_pid), (&record.spec.monitor_pidfile, state.monitor_pid)] {
        if let Some(path) = path {
            json::save_bytes(&PathBuf::from(path), pid.to_string().as_bytes(), Durability::Fleeting)?;
        }
    }
    Ok(())
}

/// A start that did not succeed leaves its reason in the exit record, as `inspect` shows it.
fn fail(engine: &Engine, record: &ContainerRecord, error: &Error) {
    let code = match error.kind() {
        ErrorKind::ProgramNotFound => 127,
        ErrorKind::ProgramNotExecutable => 126,
        _ => 125,
    };
    let now = host::now();
    let exit = ExitRecord { code, started: now, finished: now, error: error.chain(), ..ExitRecord::default() };
    let _ = json::save(&engine.paths.container(&record.id).join("exit.json"), &exit, Durability::Fleeting);
    status::clear_run_dir(engine, &record.id);
}

/// Stays with the container until it is over, restarts included.
fn supervise(
    engine: &Engine,
    record: &ContainerRecord,
    running: Running,
    log: Box<dyn monitor::logs::LogWriter>,
    listener: OwnedFd,
    first_client: Option<OwnedFd>,
) {
    let Running { channels, init, state, network, cgroup } = running;
    let supervision = monitor::Supervision {
        channels,
        init,
        init_pid: state.init_pid,
        log,
        attach_listener: Some(listener),
        stdin_policy: match (record.spec.process.interactive, first_client.is_some()) {
            (false, _) => monitor::StdinPolicy::Closed,
            (true, true) => monitor::StdinPolicy::Once,
            (true, false) => monitor::StdinPolicy::Open,
        },
        first_client,
        restart: record.spec.restart,
        stop_flag: Some(engine.paths.container_run(&record.id).join("stopping")),
        timeout: (record.spec.timeout > 0).then(|| std::time::Duration::from_secs(record.spec.timeout)),
        terminal_size: None,
    };
    let mut life = Life { engine, record, state, network, cgroup };
    monitor::supervise(supervision, &mut life);
}

/// What the engine does at the turns of a container's life.
struct Life<'a> {
    engine: &'a Engine,
    record: &'a ContainerRecord,
    state: RunState,
    network: Option<net::Helper>,
    cgroup: Option<cgroup::Own>,
}

impl monitor::Lifecycle for Life<'_> {
    fn oom_killed(&mut self) -> bool {
        self.cgroup.as_ref().is_some_and(cgroup::Own::saw_oom)
    }

    fn ended(&mut self, exit: &monitor::Exit) -> monitor::Next {
        if let Some(network) = self.network.take() {
            network.end();
        }
        if let Some(cgroup) = self.cgroup.take() {
            cgroup.remove();
        }
        if exit.restart_due {
            self.state.waiting = true;
            self.state.init_pid = 0;
            let _ = json::save(&self.run_dir().join("state.json"), &self.state, Durability::Fleeting);
        }
        self.write_exit(exit);
        monitor::Next::Restart
    }

    fn relaunch(&mut self) -> std::result::Result<monitor::Relaunched, String> {
        let running = launch(self.engine, self.record, Vec::new(), self.state.restarts + 1, false).map_err(|error| error.chain())?;
        self.state = running.state;
        self.network = running.network;
        self.cgroup = running.cgroup;
        Ok(monitor::Relaunched { channels: running.channels, init: running.init, init_pid: self.state.init_pid })
    }

    fn finished(&mut self, _exit: &monitor::Exit) {
        if self.record.spec.remove {
            // An error has nobody to go to; what is left is collected by the next command.
            let _ = remove::discard(self.engine, self.record, true);
        } else {
            status::clear_run_dir(self.engine, &self.record.id);
        }
    }
}

impl Life<'_> {
    fn run_dir(&self) -> PathBuf {
        self.engine.paths.container_run(&self.record.id)
    }

    fn write_exit(&self, exit: &monitor::Exit) {
        let dir = self.run_dir();
        let record = ExitRecord {
            code: exit.code,
            started: self.state.started,
            finished: host::now(),
            oom_killed: exit.oom_killed,
            restarts: self.state.restarts,
            error: String::new(),
            stopped_by_user: dir.join("stopping").exists(),
        };
        // A waiting `wait` reads the code here even when the container removes itself.
        let _ = std::fs::write(dir.join("exit"), exit.code.to_string());
        let durability = if self.record.spec.remove { Durability::Fleeting } else { Durability::Durable };
        let _ = json::save(&self.engine.paths.container(&self.record.id).join("exit.json"), &record, durability);
    }
}

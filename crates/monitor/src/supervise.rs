//! The monitor's loop: from a running init to a recorded exit.
//!
//! ```text
//! Running ──init died──► Draining ──read and shown──► BackingOff ──due──► Running
//!                            │                             │ stop asked
//!                            └──────no restart─────────────┴──► Leaving ──clients told──► return
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitOptions, pidfd_send_signal, set_child_subreaper, wait, waitid};
use rustix::termios::{Winsize, tcsetwinsize};
use spec::restart::RestartPolicy;
use sys::signal::{SignalSet, next_signal, signalfd};

use crate::clients::{Asked, Client};
use crate::exit::{Exit, Lifecycle, Next, Relaunched};
use crate::logs::LogWriter;
use crate::outputs::{CHUNK, Got, Output, set_nonblocking};
use crate::protocol::{Event, VERSION};
use crate::restart::Restarts;
use crate::stdin::Stdin;
use crate::{Stream, TerminalSize};

/// More clients than this at once are turned away.
const MOST_CLIENTS: usize = 64;
/// How long no client is accepted after the kernel refused us a descriptor for one.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// The code a failed relaunch is recorded with.
const NOT_LAUNCHED: i32 = 125;

/// Everything the monitor of one container works with.
pub struct Supervision {
    /// Our ends of the container's stdio.
    pub channels: Channels,
    /// A pidfd of the container's init.
    pub init: OwnedFd,
    /// The pid of init as this process sees it.
    pub init_pid: i32,
    /// Where output is kept.
    pub log: Box<dyn LogWriter>,
    /// The listening socket for `attach`, and for the news of a stop.
    pub attach_listener: Option<OwnedFd>,
    /// The monitor's end of a socket pair with a foreground `run`; output waits until it has said what it wants.
    pub first_client: Option<OwnedFd>,
    /// What becomes of stdin when clients end theirs or go.
    pub stdin_policy: StdinPolicy,
    /// When the container runs again.
    pub restart: RestartPolicy,
    /// A file whose presence means that a stop was asked for: no restart.
    pub stop_flag: Option<PathBuf>,
    /// How long a run may last before init is killed (`--timeout`).
    pub timeout: Option<Duration>,
    /// The terminal's size at the start.
    pub terminal_size: Option<TerminalSize>,
}

/// Our ends of a container's stdio.
#[derive(Debug)]
pub enum Channels {
    /// Three pipes; no stdin when it is /dev/null.
    Pipes {
        /// Where its input goes.
        stdin: Option<OwnedFd>,
        /// Its output.
        stdout: OwnedFd,
        /// Its errors.
        stderr: OwnedFd,
    },
    /// The master of its terminal.
    Terminal(OwnedFd),
    /// It has the caller's own descriptors (`passthrough`).
    Inherited,
}

/// What becomes of the container's stdin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdinPolicy {
    /// No client may write to it (no `--interactive`).
    Closed,
    /// It stays open when a client goes, and ends when one says that its input ended.
    Open,
    /// It ends with the first client that gave input (a foreground `run -i`).
    Once,
}

/// Stays with a container until it has ended for good, and returns how it did.
///
/// To be called in a process of its own with one thread. All signals stay blocked; SIGTERM is passed on to init.
pub fn supervise(supervision: Supervision, life: &mut dyn Lifecycle) -> Exit {
    let _ = set_child_subreaper(Some(rustix::process::getpid()));
    let mut monitor = Monitor::new(supervision);
    sys::heap::trim();
    loop {
        if let Some(exit) = monitor.advance(life) {
            return exit;
        }
        for (token, readiness) in monitor.wait() {
            monitor.dispatch(token, readiness, life);
        }
        monitor.forget_gone_clients();
    }
}

struct Monitor {
    init: Option<OwnedFd>,
    init_pid: i32,
    status: Option<Status>,
    phase: Phase,
    started: Instant,
    restarts: Restarts,
    stop_asked: bool,
    stop_flag: Option<PathBuf>,
    timeout: Option<Duration>,
    kill_at: Option<Instant>,
    terminal: Option<OwnedFd>,
    terminal_size: Option<TerminalSize>,
    outputs: Vec<Output>,
    stdin: Stdin,
    stdin_policy: StdinPolicy,
    clients: Vec<Client>,
    listener: Option<OwnedFd>,
    no_accept_until: Option<Instant>,
    signals: Option<OwnedFd>,
    log: Box<dyn LogWriter>,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Status {
    code: i32,
    signal: Option<i32>,
}

impl Status {
    fn new(code: Option<i32>, signal: Option<i32>) -> Status {
        let code = code.or(signal.map(|signal| 128 + signal)).unwrap_or(Exit::UNKNOWN);
        Status { code, signal }
    }
}

enum Phase {
    Running,
    Draining(Exit),
    BackingOff { until: Instant, exit: Exit },
    Leaving(Exit),
}

/// What a poll found ready.
#[derive(Debug, Clone, Copy)]
enum Token {
    Signals,
    Init,
    Output(Stream),
    Stdin,
    Listener,
    Client(usize),
    Direct(usize, Stream),
}

impl Monitor {
    fn new(supervision: Supervision) -> Monitor {
        // Without a descriptor left for this, SIGTERM and orphans are ignored and the container is none the worse.
        let _ = sys::signal::set_mask(&SignalSet::full());
        let wanted = SignalSet::empty().with(Signal::CHILD.as_raw()).with(Signal::TERM.as_raw());
        let mut monitor = Monitor {
            init: None,
            init_pid: 0,
            status: None,
            phase: Phase::Running,
            started: Instant::now(),
            restarts: Restarts::new(supervision.restart),
            stop_asked: false,
            stop_flag: supervision.stop_flag,
            timeout: supervision.timeout,
            kill_at: None,
            terminal: None,
            terminal_size: supervision.terminal_size,
            outputs: Vec::new(),
            stdin: Stdin::new(None, false, supervision.stdin_policy),
            stdin_policy: supervision.stdin_policy,
            clients: supervision.first_client.into_iter().map(|socket| Client::new(socket, true)).collect(),
            listener: supervision.attach_listener,
            no_accept_until: None,
            signals: signalfd(&wanted).ok(),
            log: supervision.log,
            buffer: vec![0; CHUNK],
        };
        if let Some(listener) = &monitor.listener {
            set_nonblocking(listener);
        }
        monitor.begin(Relaunched { channels: supervision.channels, init: supervision.init, init_pid: supervision.init_pid });
        monitor
    }

    fn begin(&mut self, run: Relaunched) {
        self.init = Some(run.init);
        self.init_pid = run.init_pid;
        self.status = None;
        self.started = Instant::now();
        self.kill_at = self.timeout.and_then(|timeout| self.started.checked_add(timeout));
        self.phase = Phase::Running;
        let (stdin, outputs, terminal) = match run.channels {
            Channels::Pipes { stdin, stdout, stderr } => {
                (stdin, vec![Output::pipe(stdout, Stream::Stdout), Output::pipe(stderr, Stream::Stderr)], None)
            }
            Channels::Terminal(master) => (master.try_clone().ok(), vec![], Some(master)),
            Channels::Inherited => (None, vec![], None),
        };
        self.stdin = Stdin::new(stdin, terminal.is_some(), self.stdin_policy);
        self.outputs = outputs;
        self.terminal = terminal.as_ref().and_then(|master| master.try_clone().ok());
        self.outputs.extend(terminal.map(Output::terminal));
        if let Some(size) = self.terminal_size {
            self.resize(size);
        }
    }

    /// Goes on as far as things stand; the exit once all is done.
    fn advance(&mut self, life: &mut dyn Lifecycle) -> Option<Exit> {
        loop {
            match &self.phase {
                Phase::Running => {
                    let status = self.status.take()?;
                    self.run_ended(status, life);
                }
                Phase::Draining(_) => {
                    self.drain();
                    if !self.outputs.is_empty() || self.clients.iter().any(Client::has_backlog) {
                        return None;
                    }
                    self.drained(life);
                }
                Phase::BackingOff { until, exit } => {
                    if self.is_stop_asked() {
                        let exit = Exit { restart_due: false, ..exit.clone() };
                        self.leave(exit, life);
                    } else if *until <= Instant::now() {
                        self.relaunch(life);
                    } else {
                        return None;
                    }
                }
                Phase::Leaving(exit) => {
                    return if self.clients.iter().any(Client::has_backlog) { None } else { Some(exit.clone()) };
                }
            }
        }
    }

    fn is_stop_asked(&self) -> bool {
        self.stop_asked || self.stop_flag.as_ref().is_some_and(|flag| rustix::fs::access(flag, rustix::fs::Access::EXISTS).is_ok())
    }

    fn run_ended(&mut self, status: Status, life: &mut dyn Lifecycle) {
        self.init = None;
        self.kill_at = None;
        self.stdin.close();
        for output in &mut self.outputs {
            output.last_words();
        }
        let mut exit = Exit {
            code: status.code,
            signal: status.signal,
            oom_killed: life.oom_killed(),
            finished_at: SystemTime::now(),
            restarts: self.restarts.count,
            restart_due: self.restarts.wanted(status.code) && !self.is_stop_asked(),
            output_dropped: self.log.dropped(),
        };
        if life.ended(&exit) == Next::Done {
            exit.restart_due = false;
        }
        self.phase = Phase::Draining(exit);
    }

    /// Reads what is left while nobody has to be waited for.
    fn drain(&mut self) {
        while !self.is_held_back() && !self.outputs.is_empty() {
            for index in (0..self.outputs.len()).rev() {
                self.pass_on(index);
            }
        }
    }

    fn drained(&mut self, life: &mut dyn Lifecycle) {
        let Phase::Draining(exit) = &self.phase else {
            return;
        };
        self.terminal = None;
        self.log.finish(SystemTime::now());
        let exit = Exit { output_dropped: self.log.dropped(), ..exit.clone() };
        if !exit.restart_due {
            return self.leave(exit, life);
        }
        self.tell_exit(exit.code);
        let until = Instant::now() + self.restarts.next_delay(self.started.elapsed());
        self.phase = Phase::BackingOff { until, exit };
    }

    fn relaunch(&mut self, life: &mut dyn Lifecycle) {
        self.restarts.count += 1;
        match life.relaunch() {
            Ok(run) => self.begin(run),
            Err(_) => {
                self.started = Instant::now();
                self.run_ended(Status { code: NOT_LAUNCHED, signal: None }, life);
            }
        }
    }

    fn leave(&mut self, exit: Exit, life: &mut dyn Lifecycle) {
        life.finished(&exit);
        self.listener = None;
        self.tell_exit(exit.code);
        self.phase = Phase::Leaving(exit);
    }

    /// A client's session ends with the run, even if another follows.
    fn tell_exit(&mut self, code: i32) {
        for client in &mut self.clients {
            client.send(&Event::Exit(code));
        }
    }

    /// Returns whether output must stay in its pipe for now.
    fn is_held_back(&self) -> bool {
        self.clients.iter().any(|client| client.is_awaited() || client.has_backlog())
    }

    /// Waits until something is ready or due.
    fn wait(&mut self) -> Vec<(Token, PollFlags)> {
        let now = Instant::now();
        let timeout = self.next_deadline().map(|deadline| {
            // Rounded up: a poll that returns early would find nothing due and spin.
            let left = deadline.saturating_duration_since(now) + Duration::from_micros(1);
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        let (tokens, mut fds) = self.interests(now);
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {
                let ready = tokens.into_iter().zip(&fds).map(|(token, fd)| (token, fd.revents()));
                ready.filter(|(_, readiness)| !readiness.is_empty()).collect()
            }
            Err(Errno::INTR) => Vec::new(),
            Err(_) => {
                // Out of kernel memory: nothing to do but to try again, not too often.
                std::thread::sleep(Duration::from_millis(50));
                Vec::new()
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let restart = match &self.phase {
            Phase::BackingOff { until, .. } => Some(*until),
            _ => None,
        };
        let patience = self.clients.iter().filter_map(Client::patience_ends);
        patience.chain(self.kill_at).chain(restart).chain(self.no_accept_until).min()
    }

    fn interests(&self, now: Instant) -> (Vec<Token>, Vec<PollFd<'_>>) {
        let mut tokens = Vec::with_capacity(8);
        let mut fds = Vec::with_capacity(8);
        let mut add = |token, fd, flags| {
            tokens.push(token);
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        };
        if let Some(signals) = &self.signals {
            add(Token::Signals, signals.as_fd(), PollFlags::IN);
        }
        if let Some(init) = self.init.as_ref().filter(|_| self.status.is_none()) {
            add(Token::Init, init.as_fd(), PollFlags::IN);
        }
        if !self.is_held_back() {
            for output in &self.outputs {
                add(Token::Output(output.stream), output.as_fd(), PollFlags::IN);
            }
        }
        if let Some(stdin) = self.stdin.waiting_for_room() {
            add(Token::Stdin, stdin, PollFlags::OUT);
        }
        if let Some(listener) = self.listener.as_ref().filter(|_| self.no_accept_until.is_none_or(|until| until <= now)) {
            add(Token::Listener, listener.as_fd(), PollFlags::IN);
        }
        for (index, client) in self.clients.iter().enumerate() {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, self.stdin.takes_more());
            flags.set(PollFlags::OUT, client.outbox_waits());
            add(Token::Client(index), client.socket(), flags);
            for (stream, output, waits) in client.direct_outputs() {
                // Without anything to write this still tells when the reader goes.
                add(Token::Direct(index, stream), output, if waits { PollFlags::OUT } else { PollFlags::empty() });
            }
        }
        (tokens, fds)
    }

    fn dispatch(&mut self, token: Token, readiness: PollFlags, life: &mut dyn Lifecycle) {
        match token {
            Token::Signals => self.take_signals(life),
            Token::Init => self.take_status(),
            Token::Output(stream) => {
                if let Some(index) = self.outputs.iter().position(|output| output.stream == stream)
                    && !self.is_held_back()
                {
                    self.pass_on(index);
                }
            }
            Token::Stdin => {
                self.stdin.flush();
                (0..self.clients.len()).for_each(|index| self.hear(index));
            }
            Token::Listener => self.accept(),
            Token::Client(index) => {
                if readiness.contains(PollFlags::OUT) {
                    self.clients[index].flush_outbox();
                }
                if readiness.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                    self.clients[index].receive();
                    self.hear(index);
                }
            }
            Token::Direct(index, stream) => {
                if readiness.intersects(PollFlags::ERR | PollFlags::HUP) {
                    self.clients[index].direct_closed(stream);
                } else {
                    self.clients[index].flush_direct(stream);
                }
            }
        }
    }

    fn take_signals(&mut self, life: &mut dyn Lifecycle) {
        while let Some(signals) = &self.signals {
            match next_signal(signals) {
                Ok(Some(signal)) if signal == Signal::TERM.as_raw() => self.signal_init(Signal::TERM),
                Ok(Some(_)) => self.reap(life),
                Ok(None) => return,
                Err(_) => self.signals = None,
            }
        }
    }

    fn signal_init(&self, signal: Signal) {
        if let Some(init) = &self.init {
            let _ = pidfd_send_signal(init, signal);
        }
    }

    /// Reaps every child that ended: init, helpers of the engine, orphans.
    fn reap(&mut self, life: &mut dyn Lifecycle) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if self.init.is_some() && pid.as_raw_nonzero().get() == self.init_pid {
                self.status = Some(Status::new(status.exit_status(), status.terminating_signal()));
            } else {
                life.child_ended(pid.as_raw_nonzero().get());
            }
        }
    }

    fn take_status(&mut self) {
        let Some(init) = self.init.as_ref().filter(|_| self.status.is_none()) else {
            return;
        };
        self.status = match waitid(WaitId::PidFd(init.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(Some(status)) => Some(Status::new(status.exit_status(), status.terminating_signal())),
            Ok(None) | Err(Errno::INTR) => None,
            // Not our child, or reaped by somebody else.
            Err(_) => Some(Status { code: Exit::UNKNOWN, signal: None }),
        };
    }

    /// Reads a piece of output and hands it to the log and to the clients.
    fn pass_on(&mut self, index: usize) {
        let stream = self.outputs[index].stream;
        match self.outputs[index].read(&mut self.buffer) {
            Got::Bytes(count) => {
                let bytes = &self.buffer[..count];
                for client in &mut self.clients {
                    client.send_output(stream, bytes);
                }
                self.log.write(stream, bytes, SystemTime::now());
            }
            Got::Nothing => {}
            Got::End => drop(self.outputs.remove(index)),
        }
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(socket) if self.clients.len() < MOST_CLIENTS => self.clients.push(Client::new(socket, false)),
            Ok(turned_away) => drop(turned_away),
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => self.no_accept_until = Some(Instant::now() + ACCEPT_PAUSE),
            Err(_) => self.listener = None,
        }
    }

    /// Does what a client asks, as long as stdin takes it.
    fn hear(&mut self, index: usize) {
        while self.stdin.takes_more()
            && let Some(asked) = self.clients[index].next_request()
        {
            match asked {
                Asked::Started => {
                    let hello = Event::Hello { version: VERSION, tty: self.terminal.is_some(), stdin_open: self.stdin.is_open() };
                    self.clients[index].send(&hello);
                }
                Asked::Stdin(bytes) => self.stdin.push(&bytes),
                Asked::StdinEof => self.stdin.eof(),
                Asked::Resize(size) => self.resize(size),
                Asked::Stop => {
                    self.stop_asked = true;
                    let init_pid = self.init.as_ref().map(|_| self.init_pid);
                    self.clients[index].send(&Event::StopNoted { init_pid });
                }
            }
        }
    }

    fn resize(&mut self, size: TerminalSize) {
        self.terminal_size = Some(size);
        if let Some(terminal) = &self.terminal {
            let _ = tcsetwinsize(terminal, Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 });
        }
    }

    fn forget_gone_clients(&mut self) {
        let now = Instant::now();
        self.no_accept_until = self.no_accept_until.filter(|until| *until > now);
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.signal_init(Signal::KILL);
        }
        for client in &mut self.clients {
            client.let_go_if_stalled(now);
        }
        let left = self.clients.iter().filter(|client| client.is_gone() && client.gave_stdin()).count();
        self.clients.retain(|client| !client.is_gone());
        (0..left).for_each(|_| self.stdin.client_left());
    }
}

//! The user's terminal: transparent while a container's is shown in it, and as it was afterwards.
//!
//! [`pump`] joins it to a pty master directly, for `exec -t`, which no monitor stands behind.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::termios::{OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use sys::signal::{SignalSet, block, next_signal, set_mask, signalfd};

use crate::TerminalSize;
use crate::attach::detach_keys::{DetachKeys, DetachWatch};
use crate::backlog::Backlog;
use crate::outlet::Outlet;
use crate::outputs::{CHUNK, Got, Output};

/// Signals that are about this process itself, or not catchable, and so never passed on.
const OURS: [i32; 16] = [
    Signal::KILL.as_raw(),
    Signal::STOP.as_raw(),
    Signal::CHILD.as_raw(),
    Signal::PIPE.as_raw(),
    Signal::URG.as_raw(),
    Signal::TTIN.as_raw(),
    Signal::TTOU.as_raw(),
    Signal::SEGV.as_raw(),
    Signal::BUS.as_raw(),
    Signal::FPE.as_raw(),
    Signal::ILL.as_raw(),
    Signal::TRAP.as_raw(),
    Signal::SYS.as_raw(),
    Signal::ABORT.as_raw(),
    // Two real-time signals that belong to the C library.
    32,
    33,
];

/// Returns the size of our terminal, if any of our stdio is one.
pub fn size_of_terminal() -> Option<TerminalSize> {
    let stdio = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    let size = stdio.into_iter().find_map(|fd| tcgetwinsize(fd).ok())?;
    Some(TerminalSize { rows: size.ws_row, columns: size.ws_col })
}

/// A terminal that passes every byte on; dropping this makes it what it was.
#[derive(Debug)]
pub struct RawMode<'fd> {
    fd: BorrowedFd<'fd>,
    before: Termios,
}

impl<'fd> RawMode<'fd> {
    /// Makes a terminal transparent; `None` if it is none.
    pub fn enter(fd: BorrowedFd<'fd>) -> Option<RawMode<'fd>> {
        let before = tcgetattr(fd).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(fd, OptionalActions::Drain, &raw).ok()?;
        Some(RawMode { fd, before })
    }
}

impl Drop for RawMode<'_> {
    fn drop(&mut self) {
        // Now, not after draining: output that nobody takes must not keep us.
        let _ = tcsetattr(self.fd, OptionalActions::Now, &self.before);
    }
}

/// Signals caught for a session; dropping this gives the process its mask back.
pub(crate) struct SessionSignals {
    fd: OwnedFd,
    mask_before: SignalSet,
}

impl SessionSignals {
    /// Catches all that can be passed on, or else just those that would end us and leave the terminal transparent.
    pub fn catch(all: bool) -> io::Result<SessionSignals> {
        let set = if all {
            OURS.into_iter().fold(SignalSet::full(), SignalSet::without)
        } else {
            let ending = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::WINCH];
            ending.into_iter().fold(SignalSet::empty(), |set, signal| set.with(signal.as_raw()))
        };
        let fd = signalfd(&set)?;
        Ok(SessionSignals { fd, mask_before: block(&set)? })
    }

    pub fn next(&self) -> Option<i32> {
        next_signal(&self.fd).ok().flatten()
    }
}

impl AsFd for SessionSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for SessionSignals {
    fn drop(&mut self) {
        let _ = set_mask(&self.mask_before);
    }
}

/// How a terminal session without a monitor is to be.
pub struct PumpOptions<'a> {
    /// Pass our stdin on.
    pub stdin: bool,
    /// What leaves the session.
    pub detach_keys: DetachKeys,
    /// Where signals that reach us go; without, those that ask us to end do end the session.
    pub on_signal: Option<&'a mut dyn FnMut(i32)>,
}

/// How such a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PumpEnd {
    /// The process did; it is not reaped.
    Exited,
    /// The user typed the detach keys.
    Detached,
    /// Our stdout's reader is gone.
    OutputClosed,
    /// A signal asked us to end.
    Interrupted(i32),
}

/// Joins our stdio to the master of a process's terminal until the process (a pidfd) ends.
///
/// The master is made non-blocking. After any other end than `Exited`, closing it hangs the process up; [`linger`] keeps it going.
pub fn pump(master: &OwnedFd, process: &OwnedFd, options: PumpOptions<'_>) -> io::Result<PumpEnd> {
    let signals = SessionSignals::catch(options.on_signal.is_some())?;
    let raw = if options.stdin { RawMode::enter(rustix::stdio::stdin()) } else { None };
    let mut pump = Pump {
        master,
        output: Output::terminal(master.try_clone()?),
        stdin: options.stdin.then(rustix::stdio::stdin),
        typed: Backlog::default(),
        watch: DetachWatch::new(options.detach_keys),
        outlet: Outlet::new(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?),
        shown: Backlog::default(),
        process_ended: false,
        output_ended: false,
        buffer: vec![0; CHUNK],
    };
    pump.take_size();
    let end = pump.run(process, &signals, options.on_signal);
    drop(raw);
    end
}

struct Pump<'a> {
    master: &'a OwnedFd,
    output: Output,
    stdin: Option<BorrowedFd<'static>>,
    typed: Backlog,
    watch: DetachWatch,
    outlet: Outlet,
    shown: Backlog,
    process_ended: bool,
    output_ended: bool,
    buffer: Vec<u8>,
}

/// What of a pump is ready.
struct Ready {
    process: bool,
    signals: bool,
    stdin: bool,
}

impl Pump<'_> {
    fn take_size(&self) {
        if let Some(size) = size_of_terminal() {
            let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
            let _ = tcsetwinsize(self.master, size);
        }
    }

    fn run(&mut self, process: &OwnedFd, signals: &SessionSignals, mut on_signal: Option<&mut dyn FnMut(i32)>) -> io::Result<PumpEnd> {
        while !(self.process_ended && self.output_ended && self.shown.is_empty()) {
            let ready = self.wait(process, signals)?;
            if ready.process && !self.process_ended {
                self.process_ended = true;
                self.stdin = None;
                self.typed.clear();
                self.output.last_words();
            }
            if self.show().is_err() {
                return Ok(PumpEnd::OutputClosed);
            }
            if ready.stdin && self.pass_stdin() {
                return Ok(PumpEnd::Detached);
            }
            let master = self.master;
            if self.typed.flush(|bytes| Ok(rustix::io::write(master, bytes)?)).is_err() {
                self.typed.clear();
            }
            while ready.signals
                && let Some(signal) = signals.next()
            {
                match &mut on_signal {
                    _ if signal == Signal::WINCH.as_raw() => self.take_size(),
                    Some(on_signal) => on_signal(signal),
                    None => return Ok(PumpEnd::Interrupted(signal)),
                }
            }
        }
        Ok(PumpEnd::Exited)
    }

    fn wait(&self, process: &OwnedFd, signals: &SessionSignals) -> io::Result<Ready> {
        let mut master = PollFlags::empty();
        master.set(PollFlags::IN, self.shown.is_empty() && !self.output_ended);
        master.set(PollFlags::OUT, !self.typed.is_empty());
        // A descriptor whose hang-up is known, or with nothing to do, must not be polled: it would be ready at once for ever.
        let polled = |fd, needed: bool, flags| PollFd::from_borrowed_fd(if needed { fd } else { signals.as_fd() }, flags);
        let mut fds = [
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
            polled(process.as_fd(), !self.process_ended, PollFlags::IN),
            polled(self.output.as_fd(), !master.is_empty(), master),
            polled(self.stdin.unwrap_or(signals.as_fd()), self.stdin.is_some() && self.typed.is_empty(), PollFlags::IN),
            polled(self.outlet.as_fd(), !self.shown.is_empty(), PollFlags::OUT),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |index: usize| !fds[index].revents().is_empty();
        Ok(Ready {
            process: is_ready(1) && !self.process_ended,
            signals: is_ready(0),
            stdin: is_ready(3) && self.stdin.is_some() && self.typed.is_empty(),
        })
    }

    /// Shows what the terminal has, as far as our stdout takes it.
    fn show(&mut self) -> io::Result<()> {
        loop {
            self.shown.flush(|bytes| self.outlet.write(bytes))?;
            if !self.shown.is_empty() || self.output_ended {
                return Ok(());
            }
            match self.output.read(&mut self.buffer) {
                Got::Bytes(count) => self.shown.push(&self.buffer[..count]),
                Got::Nothing => return Ok(()),
                Got::End => self.output_ended = true,
            }
        }
    }

    /// Takes what was typed; true when it was the detach keys.
    fn pass_stdin(&mut self) -> bool {
        let Some(stdin) = self.stdin else {
            return false;
        };
        let mut buffer = [0; 4096];
        let mut passed = Vec::new();
        let detached = match rustix::io::read(stdin, &mut buffer) {
            Ok(count) if count > 0 => self.watch.feed(&buffer[..count], &mut passed),
            Err(Errno::INTR | Errno::AGAIN) => false,
            _ => {
                self.stdin = None;
                passed.extend_from_slice(self.watch.held_back());
                false
            }
        };
        self.typed.push(&passed);
        detached
    }
}

/// Takes and drops what a process says to its terminal until it ends: what is left of a session its user detached from.
pub fn linger(master: OwnedFd, process: &OwnedFd) {
    let mut output = Output::terminal(master);
    let mut buffer = vec![0; 4096];
    let mut ended = false;
    loop {
        match output.read(&mut buffer) {
            Got::Bytes(_) => continue,
            Got::End => ended = true,
            Got::Nothing => {}
        }
        let mut fds = [PollFd::new(process, PollFlags::IN), PollFd::new(&output, PollFlags::IN)];
        let fds = if ended { &mut fds[..1] } else { &mut fds[..] };
        match poll(fds, None) {
            Ok(_) if !fds[0].revents().is_empty() => return,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Returns whether our stdin is a terminal.
pub fn stdin_is_terminal() -> bool {
    isatty(rustix::stdio::stdin())
}

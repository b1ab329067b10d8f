//! Joining a container to this process's own stdin, stdout and stderr.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::SendFlags;

use super::detach_keys::{DetachKeys, DetachWatch};
use super::{AttachError, Client, Received};
use crate::Stream;
use crate::backlog::Backlog;
use crate::outlet::Outlet;
use crate::protocol::{Event, Request, STDIN_PIECE, Start};
use crate::terminal::{RawMode, SessionSignals, size_of_terminal};

/// Beyond this, stdin is not read until the monitor has taken what was typed.
const ENOUGH: usize = 128 << 10;

/// How a session is to be.
pub struct SessionOptions<'a> {
    /// Pass our stdin on.
    pub stdin: bool,
    /// Show the container's stdout.
    pub stdout: bool,
    /// Show the container's stderr.
    pub stderr: bool,
    /// The container has a terminal: ours, if stdin is one, becomes transparent and its size is told.
    pub terminal: bool,
    /// What leaves the session.
    pub detach_keys: DetachKeys,
    /// Where signals that reach us go (`--sig-proxy`); without, those that ask us to end do end the session.
    pub on_signal: Option<&'a mut dyn FnMut(i32)>,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// The container did, with this code; [`crate::Exit::UNKNOWN`] when nobody knows it.
    Exited(i32),
    /// The user typed the detach keys.
    Detached,
    /// The reader of our stdout or stderr is gone, as in `coracle run … | head -1`.
    OutputClosed(Stream),
    /// A signal asked us to end and is not to be passed on; the terminal is as it was, and the signal may be raised again.
    Interrupted(i32),
    /// The monitor is gone without a word.
    Lost,
}

/// Joins the container to our stdio until one of the ends of [`SessionEnd`].
pub fn run_session(client: Client, options: SessionOptions<'_>) -> Result<SessionEnd, AttachError> {
    let signals = SessionSignals::catch(options.on_signal.is_some()).map_err(AttachError::Talk)?;
    let raw = if options.terminal && options.stdin { RawMode::enter(rustix::stdio::stdin()) } else { None };
    let mut session = Session {
        stdin: options.stdin.then(rustix::stdio::stdin),
        discard_stdin: false,
        watch: DetachWatch::new(options.detach_keys),
        outbox: Backlog::default(),
        shows: [Show::new(options.stdout, rustix::stdio::stdout()), Show::new(options.stderr, rustix::stdio::stderr())],
        end: None,
        on_signal: options.on_signal,
        terminal: options.terminal,
        client,
    };
    session.start().map_err(AttachError::Talk)?;
    let end = session.run(&signals);
    drop(raw);
    end
}

struct Session<'a> {
    client: Client,
    stdin: Option<BorrowedFd<'static>>,
    discard_stdin: bool,
    watch: DetachWatch,
    outbox: Backlog,
    shows: [Show; 2],
    /// Set when no more will come; what was received is still shown.
    end: Option<SessionEnd>,
    on_signal: Option<&'a mut dyn FnMut(i32)>,
    terminal: bool,
}

/// One of our outputs.
struct Show {
    fd: BorrowedFd<'static>,
    wanted: bool,
    outlet: Option<Outlet>,
    waiting: Backlog,
}

impl Show {
    fn new(wanted: bool, fd: BorrowedFd<'static>) -> Show {
        Show { fd, wanted, outlet: None, waiting: Backlog::default() }
    }

    /// Opens our own way to write there; only once something is to be written.
    fn outlet(&mut self) -> io::Result<&Outlet> {
        if self.outlet.is_none() {
            let own: OwnedFd = rustix::io::fcntl_dupfd_cloexec(self.fd, 3)?;
            self.outlet = Some(Outlet::new(own));
        }
        Ok(self.outlet.as_ref().expect("it was opened just now"))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        let mut rest = bytes;
        while self.waiting.is_empty() && !rest.is_empty() {
            match self.outlet()?.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.waiting.push(rest);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(outlet) = &self.outlet {
            self.waiting.flush(|bytes| outlet.write(bytes))?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Token {
    Monitor,
    Stdin,
    Signals,
    Show(Stream),
}

impl Session<'_> {
    fn start(&mut self) -> io::Result<()> {
        // A terminal's output is shown by us, which is stopped and continued with its job.
        let hand_over = |show: &Show| !self.terminal && show.wanted && Outlet::may_be_handed_over(show.fd);
        let [stdout, stderr] = &self.shows;
        let start = Start {
            stdin: self.stdin.is_some(),
            stdout: stdout.wanted,
            stderr: stderr.wanted,
            direct_stdout: hand_over(stdout),
            direct_stderr: hand_over(stderr),
        };
        let handed: Vec<BorrowedFd<'_>> = self.shows.iter().filter(|show| hand_over(show)).map(|show| show.fd).collect();
        match self.client.start(start, &handed) {
            // A monitor that has ended already may have left its last words.
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {}
            result => result?,
        }
        self.tell_size();
        Ok(())
    }

    fn tell_size(&mut self) {
        if self.terminal
            && let Some(size) = size_of_terminal()
        {
            self.send(&Request::Resize(size));
        }
    }

    fn run(&mut self, signals: &SessionSignals) -> Result<SessionEnd, AttachError> {
        loop {
            if let Some(end) = self.end
                && self.shows.iter().all(|show| show.waiting.is_empty())
            {
                return Ok(end);
            }
            for (token, readiness) in self.wait(signals).map_err(AttachError::Talk)? {
                let end = match token {
                    Token::Monitor => self.hear_monitor(readiness)?,
                    Token::Stdin => self.pass_stdin(),
                    Token::Signals => self.take_signals(signals),
                    Token::Show(stream) => self.shows[stream as usize].flush().is_err().then_some(SessionEnd::OutputClosed(stream)),
                };
                if let Some(end) = end {
                    return Ok(end);
                }
            }
        }
    }

    fn wait(&self, signals: &SessionSignals) -> io::Result<Vec<(Token, PollFlags)>> {
        let mut tokens = vec![Token::Signals];
        let mut fds = vec![PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
        let all_shown = self.shows.iter().all(|show| show.waiting.is_empty());
        if self.end.is_none() && (all_shown || !self.outbox.is_empty()) {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, all_shown);
            flags.set(PollFlags::OUT, !self.outbox.is_empty());
            tokens.push(Token::Monitor);
            fds.push(PollFd::from_borrowed_fd(self.client.as_fd(), flags));
        }
        if let Some(stdin) = self.stdin.filter(|_| self.end.is_none() && self.outbox.len() < ENOUGH) {
            tokens.push(Token::Stdin);
            fds.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
        }
        for (stream, show) in [Stream::Stdout, Stream::Stderr].into_iter().zip(&self.shows) {
            if let Some(outlet) = show.outlet.as_ref().filter(|_| !show.waiting.is_empty()) {
                tokens.push(Token::Show(stream));
                fds.push(PollFd::from_borrowed_fd(outlet.as_fd(), PollFlags::OUT));
            }
        }
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(tokens.into_iter().zip(fds.iter().map(PollFd::revents)).filter(|(_, ready)| !ready.is_empty()).collect())
    }

    fn hear_monitor(&mut self, readiness: PollFlags) -> Result<Option<SessionEnd>, AttachError> {
        if readiness.contains(PollFlags::OUT) {
            self.flush_outbox();
        }
        if !readiness.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            return Ok(None);
        }
        let received = self.client.receive().map_err(AttachError::Talk)?;
        while let Some(event) = self.client.next_event()? {
            match event {
                Event::Output(stream, bytes) => {
                    if self.shows[stream as usize].write(bytes).is_err() {
                        return Ok(Some(SessionEnd::OutputClosed(stream)));
                    }
                }
                Event::Exit(code) => self.end = Some(SessionEnd::Exited(code)),
                Event::OutputClosed(stream) => return Ok(Some(SessionEnd::OutputClosed(stream))),
                Event::Hello { stdin_open, .. } => {
                    // Typing is still watched for the detach keys; a file or pipe is left to whom it is for.
                    self.discard_stdin = !stdin_open;
                    self.stdin = self.stdin.filter(|stdin| stdin_open || rustix::termios::isatty(stdin));
                }
                Event::StopNoted { .. } => {}
            }
        }
        if received == Received::Closed && self.end.is_none() {
            self.end = Some(SessionEnd::Lost);
        }
        Ok(None)
    }

    fn pass_stdin(&mut self) -> Option<SessionEnd> {
        let stdin = self.stdin?;
        let mut buffer = vec![0; STDIN_PIECE];
        let typed = match rustix::io::read(stdin, &mut buffer) {
            Ok(count) => &buffer[..count],
            Err(Errno::INTR | Errno::AGAIN) => return None,
            // A terminal that was hung up, say.
            Err(_) => &[],
        };
        let mut passed = Vec::with_capacity(typed.len());
        let detached = self.watch.feed(typed, &mut passed);
        if typed.is_empty() {
            self.stdin = None;
            passed.extend_from_slice(self.watch.held_back());
        }
        if !passed.is_empty() && !self.discard_stdin {
            self.send(&Request::Stdin(&passed));
        }
        if typed.is_empty() && !self.discard_stdin {
            self.send(&Request::StdinEof);
        }
        detached.then_some(SessionEnd::Detached)
    }

    fn take_signals(&mut self, signals: &SessionSignals) -> Option<SessionEnd> {
        while let Some(signal) = signals.next() {
            if signal == rustix::process::Signal::WINCH.as_raw() {
                self.tell_size();
            } else if let Some(on_signal) = &mut self.on_signal {
                on_signal(signal);
            } else {
                return Some(SessionEnd::Interrupted(signal));
            }
        }
        None
    }

    fn send(&mut self, request: &Request<'_>) {
        self.outbox.push(&request.encode());
        self.flush_outbox();
    }

    /// A monitor that takes nothing more still has an end to tell: the receiving side sees to it.
    fn flush_outbox(&mut self) {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let client = &self.client;
        if self.outbox.flush(|bytes| Ok(rustix::net::send(client, bytes, flags)?)).is_err() {
            self.outbox.clear();
            self.stdin = None;
        }
    }
}

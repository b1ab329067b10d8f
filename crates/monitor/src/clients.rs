//! The monitor's side of attached clients.
//!
//! No byte is lost to a client that keeps reading: while one has not taken what was sent, the container's output
//! is left in its pipe. The client of a foreground `run` may take for ever, like the reader of any pipeline; any other
//! that takes nothing for a second is let go.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendFlags, recvmsg, sendmsg};

use crate::Stream;
use crate::backlog::Backlog;
use crate::outlet::Outlet;
use crate::protocol::{Event, Inbox, Request, Start, output_header};

/// How long a client other than the foreground's may take nothing at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// What one receive may bring.
const RECEIVE: usize = 64 << 10;

/// One attached client.
#[derive(Debug)]
pub(crate) struct Client {
    socket: OwnedFd,
    foreground: bool,
    inbox: Inbox,
    outbox: Backlog,
    start: Option<Start>,
    direct: [Option<Direct>; 2],
    received: Vec<OwnedFd>,
    stalled_since: Option<Instant>,
    gone: bool,
}

/// An output of the client that the monitor writes to itself.
#[derive(Debug)]
struct Direct {
    outlet: Outlet,
    waiting: Backlog,
}

/// What a client asks the monitor for; its output wishes are kept here.
#[derive(Debug)]
pub(crate) enum Asked {
    Started,
    Stdin(Vec<u8>),
    StdinEof,
    Resize(crate::TerminalSize),
    Stop,
}

impl Client {
    pub fn new(socket: OwnedFd, foreground: bool) -> Client {
        Client {
            socket,
            foreground,
            inbox: Inbox::default(),
            outbox: Backlog::default(),
            start: None,
            direct: [None, None],
            received: Vec::new(),
            stalled_since: None,
            gone: false,
        }
    }

    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Returns whether the foreground has yet to say what it wants; the container's output waits for that.
    pub fn is_awaited(&self) -> bool {
        self.foreground && self.start.is_none() && !self.gone
    }

    pub fn gave_stdin(&self) -> bool {
        self.start.is_some_and(|start| start.stdin)
    }

    pub fn has_backlog(&self) -> bool {
        !self.gone && (!self.outbox.is_empty() || self.direct.iter().flatten().any(|direct| !direct.waiting.is_empty()))
    }

    /// Returns when this client is let go if it still takes nothing.
    pub fn patience_ends(&self) -> Option<Instant> {
        self.stalled_since.filter(|_| !self.foreground).map(|since| since + PATIENCE)
    }

    pub fn let_go_if_stalled(&mut self, now: Instant) {
        if self.patience_ends().is_some_and(|end| now >= end) {
            self.gone = true;
        }
    }

    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub fn outbox_waits(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Returns the outputs the client handed over, and whether something waits for room in them.
    pub fn direct_outputs(&self) -> impl Iterator<Item = (Stream, BorrowedFd<'_>, bool)> {
        let streams = [Stream::Stdout, Stream::Stderr].into_iter();
        streams.zip(&self.direct).filter_map(|(stream, direct)| {
            let direct = direct.as_ref()?;
            Some((stream, direct.outlet.as_fd(), !direct.waiting.is_empty()))
        })
    }

    /// Reads what the client sent, one piece.
    pub fn receive(&mut self) {
        let space = self.inbox.space(RECEIVE);
        let used = space.len();
        space.resize(used + RECEIVE, 0);
        let mut control = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut control);
        let mut vectors = [io::IoSliceMut::new(&mut space[used..])];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let got = recvmsg(&self.socket, &mut vectors, &mut control, flags);
        space.truncate(used + got.as_ref().map_or(0, |got| got.bytes));
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                // Only a first frame has use for descriptors; all others close here.
                let wanted = if self.start.is_none() { 2usize.saturating_sub(self.received.len()) } else { 0 };
                self.received.extend(fds.take(wanted));
            }
        }
        match got {
            Ok(got) if got.bytes == 0 => self.gone = true,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.gone = true,
        }
    }

    /// Takes the next thing the client asks for.
    pub fn next_request(&mut self) -> Option<Asked> {
        if self.gone {
            return None;
        }
        let request = match self.inbox.next_frame() {
            Ok(Some((kind, payload))) => Request::decode(kind, payload),
            Ok(None) => {
                self.inbox.trim();
                return None;
            }
            Err(error) => Err(error),
        };
        let asked = match request {
            Ok(Request::Start(start)) if self.start.is_none() => {
                self.start(start);
                return Some(Asked::Started);
            }
            Ok(Request::Stdin(bytes)) => Some(Asked::Stdin(bytes.to_vec())).filter(|_| self.gave_stdin()),
            Ok(Request::StdinEof) => Some(Asked::StdinEof).filter(|_| self.gave_stdin()),
            Ok(Request::Resize(size)) => Some(Asked::Resize(size)),
            Ok(Request::StopAsked) => Some(Asked::Stop),
            Ok(Request::Start(_)) | Err(_) => None,
        };
        // Whoever does not keep to the protocol is not listened to any longer.
        self.gone |= asked.is_none();
        asked
    }

    fn start(&mut self, start: Start) {
        let mut handed = std::mem::take(&mut self.received).into_iter();
        for (slot, wanted) in self.direct.iter_mut().zip([start.direct_stdout, start.direct_stderr]) {
            if wanted && let Some(fd) = handed.next() {
                *slot = Some(Direct { outlet: Outlet::new(fd), waiting: Backlog::default() });
            }
        }
        self.start = Some(start);
    }

    /// Sends a frame, or keeps what does not fit.
    pub fn send(&mut self, event: &Event<'_>) {
        self.send_parts(&event.encode(), &[]);
    }

    /// Sends output, if this client wants it.
    pub fn send_output(&mut self, stream: Stream, bytes: &[u8]) {
        let Some(start) = self.start.filter(|_| !self.gone) else {
            return;
        };
        let wanted = if stream == Stream::Stdout { start.stdout } else { start.stderr };
        if !wanted {
            return;
        }
        if self.direct[stream as usize].is_some() {
            self.write_direct(stream, bytes);
        } else {
            self.send_parts(&output_header(stream, bytes.len()), bytes);
        }
    }

    fn send_parts(&mut self, header: &[u8], payload: &[u8]) {
        if self.gone {
            return;
        }
        let mut sent = 0;
        if self.outbox.is_empty() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let parts = [IoSlice::new(header), IoSlice::new(payload)];
            match sendmsg(&self.socket, &parts, &mut SendAncillaryBuffer::default(), flags) {
                Ok(count) => sent = count,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => self.gone = true,
            }
        }
        self.outbox.push(&header[sent.min(header.len())..]);
        self.outbox.push(&payload[sent.saturating_sub(header.len())..]);
        self.note_progress(sent > 0);
    }

    fn write_direct(&mut self, stream: Stream, bytes: &[u8]) {
        let Some(direct) = &mut self.direct[stream as usize] else {
            return;
        };
        let mut rest = bytes;
        let mut result = direct.waiting.flush(|piece| direct.outlet.write(piece));
        while result.is_ok() && direct.waiting.is_empty() && !rest.is_empty() {
            match direct.outlet.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    direct.waiting.push(rest);
                    rest = &[];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => result = Err(error),
            }
        }
        direct.waiting.push(rest);
        match result {
            Ok(progress) => self.note_progress(progress || rest.len() < bytes.len()),
            Err(_) => self.direct_closed(stream),
        }
    }

    /// The reader of an output that was handed over is gone: its owner decides what that means.
    pub fn direct_closed(&mut self, stream: Stream) {
        self.direct[stream as usize] = None;
        if let Some(start) = &mut self.start {
            match stream {
                Stream::Stdout => start.stdout = false,
                Stream::Stderr => start.stderr = false,
            }
        }
        self.send(&Event::OutputClosed(stream));
    }

    /// Sends what waits for the socket.
    pub fn flush_outbox(&mut self) {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match self.outbox.flush(|bytes| Ok(rustix::net::send(&self.socket, bytes, flags)?)) {
            Ok(progress) => self.note_progress(progress),
            Err(_) => self.gone = true,
        }
    }

    /// Writes what waits for an output that was handed over.
    pub fn flush_direct(&mut self, stream: Stream) {
        self.write_direct(stream, &[]);
    }

    fn note_progress(&mut self, progress: bool) {
        if !self.has_backlog() {
            self.stalled_since = None;
        } else if progress || self.stalled_since.is_none() {
            self.stalled_since = Some(Instant::now());
        }
    }
}

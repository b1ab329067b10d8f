//! What an attached client and a monitor say to each other over a unix stream socket.
//!
//! Every frame is a kind byte, the payload's length (u32, little endian) and the payload. The client speaks first
//! (`Start`); nothing of the container's output is sent before that. A `Start` may carry descriptors (SCM_RIGHTS):
//! outputs of the client that the monitor may write to itself, saving two copies of all that flows.
//!
//! | kind | from | payload |
//! |---|---|---|
//! | 1 start | client | version u8, flags u8 |
//! | 2 stdin | client | bytes |
//! | 3 stdin-eof | client | |
//! | 4 resize | client | rows u16, columns u16 |
//! | 5 stop-asked | client | |
//! | 16 hello | monitor | version u8, flags u8 |
//! | 17 stdout, 18 stderr | monitor | bytes |
//! | 19 exit | monitor | code i32 |
//! | 20 output-closed | monitor | 1 or 2 |
//! | 21 stop-noted | monitor | pid of init i32, 0 when none runs |

use thiserror::Error;

use crate::{Stream, TerminalSize};

/// The version both sides speak.
pub const VERSION: u8 = 1;
/// Bytes before a payload.
pub const HEADER: usize = 5;
/// The longest payload either side accepts.
pub const MAX_PAYLOAD: usize = 1 << 20;
/// The most a client sends in one stdin frame.
pub const STDIN_PIECE: usize = 64 << 10;

const START: u8 = 1;
const STDIN: u8 = 2;
const STDIN_EOF: u8 = 3;
const RESIZE: u8 = 4;
const STOP_ASKED: u8 = 5;
const HELLO: u8 = 16;
const STDOUT: u8 = 17;
const STDERR: u8 = 18;
const EXIT: u8 = 19;
const OUTPUT_CLOSED: u8 = 20;
const STOP_NOTED: u8 = 21;

/// What a client wants, told once at the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Start {
    /// It will send stdin.
    pub stdin: bool,
    /// It wants stdout.
    pub stdout: bool,
    /// It wants stderr.
    pub stderr: bool,
    /// A descriptor for stdout comes with this frame.
    pub direct_stdout: bool,
    /// A descriptor for stderr comes with this frame, after the one of stdout.
    pub direct_stderr: bool,
}

impl Start {
    fn flags(self) -> u8 {
        u8::from(self.stdin)
            | u8::from(self.stdout) << 1
            | u8::from(self.stderr) << 2
            | u8::from(self.direct_stdout) << 3
            | u8::from(self.direct_stderr) << 4
    }

    fn from_flags(flags: u8) -> Start {
        let bit = |n: u8| flags & 1 << n != 0;
        Start { stdin: bit(0), stdout: bit(1), stderr: bit(2), direct_stdout: bit(3), direct_stderr: bit(4) }
    }
}

/// What a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// The first frame.
    Start(Start),
    /// Input for the container.
    Stdin(&'a [u8]),
    /// The client's input has ended.
    StdinEof,
    /// The client's terminal has a new size.
    Resize(TerminalSize),
    /// The user asked for a stop: no restart from here on.
    StopAsked,
}

/// What a monitor sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// Its answer to `Start`.
    Hello {
        /// The protocol version it speaks.
        version: u8,
        /// Whether the container has a terminal.
        tty: bool,
        /// Whether the container's stdin is open.
        stdin_open: bool,
    },
    /// Output.
    Output(Stream, &'a [u8]),
    /// The run ended.
    Exit(i32),
    /// An output that the client had handed over is closed at its other end.
    OutputClosed(Stream),
    /// A stop is noted; the init that still runs, if any.
    StopNoted {
        /// Its pid as the monitor sees it.
        init_pid: Option<i32>,
    },
}

/// A peer that does not keep to the protocol.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ProtocolError {
    /// A payload beyond all bounds.
    #[error("a frame of {length} bytes is longer than allowed")]
    TooLong {
        /// What was announced.
        length: usize,
    },
    /// A kind this version does not know.
    #[error("unknown frame kind {kind}")]
    UnknownKind {
        /// The kind byte.
        kind: u8,
    },
    /// A payload of the wrong length.
    #[error("malformed frame of kind {kind}")]
    Malformed {
        /// The kind byte.
        kind: u8,
    },
}

/// Returns the header of an output frame.
pub fn output_header(stream: Stream, length: usize) -> [u8; HEADER] {
    header(if stream == Stream::Stdout { STDOUT } else { STDERR }, length)
}

fn header(kind: u8, length: usize) -> [u8; HEADER] {
    let length = u32::try_from(length).expect("frames are pieces of buffers far below 4 GiB").to_le_bytes();
    [kind, length[0], length[1], length[2], length[3]]
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&header(kind, payload.len()));
    bytes.extend_from_slice(payload);
    bytes
}

impl Request<'_> {
    /// Returns the frame as bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Request::Start(start) => frame(START, &[VERSION, start.flags()]),
            Request::Stdin(bytes) => frame(STDIN, bytes),
            Request::StdinEof => frame(STDIN_EOF, &[]),
            Request::Resize(size) => {
                let (rows, columns) = (size.rows.to_le_bytes(), size.columns.to_le_bytes());
                frame(RESIZE, &[rows[0], rows[1], columns[0], columns[1]])
            }
            Request::StopAsked => frame(STOP_ASKED, &[]),
        }
    }

    /// Reads a frame.
    pub fn decode(kind: u8, payload: &[u8]) -> Result<Request<'_>, ProtocolError> {
        match (kind, payload) {
            // A later version may say more after these two bytes.
            (START, [_version, flags, ..]) => Ok(Request::Start(Start::from_flags(*flags))),
            (STDIN, bytes) => Ok(Request::Stdin(bytes)),
            (STDIN_EOF, []) => Ok(Request::StdinEof),
            (RESIZE, &[a, b, c, d]) => {
                Ok(Request::Resize(TerminalSize { rows: u16::from_le_bytes([a, b]), columns: u16::from_le_bytes([c, d]) }))
            }
            (STOP_ASKED, []) => Ok(Request::StopAsked),
            (START | STDIN_EOF | RESIZE | STOP_ASKED, _) => Err(ProtocolError::Malformed { kind }),
            _ => Err(ProtocolError::UnknownKind { kind }),
        }
    }
}

impl Event<'_> {
    /// Returns the frame as bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Event::Hello { version, tty, stdin_open } => frame(HELLO, &[*version, u8::from(*tty) | u8::from(*stdin_open) << 1]),
            Event::Output(Stream::Stdout, bytes) => frame(STDOUT, bytes),
            Event::Output(Stream::Stderr, bytes) => frame(STDERR, bytes),
            Event::Exit(code) => frame(EXIT, &code.to_le_bytes()),
            Event::OutputClosed(stream) => frame(OUTPUT_CLOSED, &[if *stream == Stream::Stdout { 1 } else { 2 }]),
            Event::StopNoted { init_pid } => frame(STOP_NOTED, &init_pid.unwrap_or(0).to_le_bytes()),
        }
    }

    /// Reads a frame.
    pub fn decode(kind: u8, payload: &[u8]) -> Result<Event<'_>, ProtocolError> {
        match (kind, payload) {
            (HELLO, &[version, flags, ..]) => Ok(Event::Hello { version, tty: flags & 1 != 0, stdin_open: flags & 2 != 0 }),
            (STDOUT, bytes) => Ok(Event::Output(Stream::Stdout, bytes)),
            (STDERR, bytes) => Ok(Event::Output(Stream::Stderr, bytes)),
            (EXIT, &[a, b, c, d]) => Ok(Event::Exit(i32::from_le_bytes([a, b, c, d]))),
            (OUTPUT_CLOSED, [1]) => Ok(Event::OutputClosed(Stream::Stdout)),
            (OUTPUT_CLOSED, [2]) => Ok(Event::OutputClosed(Stream::Stderr)),
            (STOP_NOTED, &[a, b, c, d]) => {
                let pid = i32::from_le_bytes([a, b, c, d]);
                Ok(Event::StopNoted { init_pid: (pid > 0).then_some(pid) })
            }
            (HELLO | EXIT | OUTPUT_CLOSED | STOP_NOTED, _) => Err(ProtocolError::Malformed { kind }),
            _ => Err(ProtocolError::UnknownKind { kind }),
        }
    }
}

/// Bytes received, cut into frames.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    start: usize,
}

impl Inbox {
    /// Returns room for at least `room` bytes behind what is there already; [`Inbox::filled`] tells how many came.
    pub fn space(&mut self, room: usize) -> &mut Vec<u8> {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.reserve(room);
        &mut self.bytes
    }

    /// Takes the next whole frame: its kind and payload.
    pub fn next_frame(&mut self) -> Result<Option<(u8, &[u8])>, ProtocolError> {
        let rest = &self.bytes[self.start..];
        let [kind, a, b, c, d, ..] = *rest else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > MAX_PAYLOAD {
            return Err(ProtocolError::TooLong { length });
        }
        if rest.len() < HEADER + length {
            return Ok(None);
        }
        let payload = self.start + HEADER;
        self.start = payload + length;
        Ok(Some((kind, &self.bytes[payload..self.start])))
    }

    /// Gives the memory back when nothing is left to take.
    pub fn trim(&mut self) {
        if self.start == self.bytes.len() {
            *self = Inbox::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn requests() -> impl Strategy<Value = (Vec<u8>, String)> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..200);
        prop_oneof![
            any::<u8>().prop_map(|flags| Request::Start(Start::from_flags(flags & 31))).prop_map(|r| (r.encode(), format!("{r:?}"))),
            bytes.prop_map(|b| (Request::Stdin(&b).encode(), format!("{:?}", Request::Stdin(&b)))),
            Just((Request::StdinEof.encode(), format!("{:?}", Request::StdinEof))),
            any::<(u16, u16)>().prop_map(|(rows, columns)| {
                let request = Request::Resize(TerminalSize { rows, columns });
                (request.encode(), format!("{request:?}"))
            }),
            Just((Request::StopAsked.encode(), format!("{:?}", Request::StopAsked))),
        ]
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(frames in proptest::collection::vec(requests(), 1..20), cut in 1usize..64) {
            let wire: Vec<u8> = frames.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
            let mut inbox = Inbox::default();
            let mut seen = Vec::new();
            for piece in wire.chunks(cut) {
                inbox.space(piece.len()).extend_from_slice(piece);
                while let Some((kind, payload)) = inbox.next_frame().unwrap() {
                    seen.push(format!("{:?}", Request::decode(kind, payload).unwrap()));
                }
                inbox.trim();
            }
            prop_assert_eq!(seen, frames.into_iter().map(|(_, text)| text).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_read_or_refused(wire in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut inbox = Inbox::default();
            inbox.space(wire.len()).extend_from_slice(&wire);
            while let Ok(Some((kind, payload))) = inbox.next_frame() {
                let _ = (Request::decode(kind, payload).is_ok(), Event::decode(kind, payload).is_ok());
            }
        }
    }

    #[test]
    fn events_round_trip() {
        for event in [
            Event::Hello { version: 1, tty: true, stdin_open: false },
            Event::Hello { version: 7, tty: false, stdin_open: true },
            Event::Output(Stream::Stdout, b"a\0b"),
            Event::Output(Stream::Stderr, b""),
            Event::Exit(-1),
            Event::Exit(137),
            Event::OutputClosed(Stream::Stdout),
            Event::OutputClosed(Stream::Stderr),
            Event::StopNoted { init_pid: None },
            Event::StopNoted { init_pid: Some(42) },
        ] {
            let wire = event.encode();
            assert_eq!(Event::decode(wire[0], &wire[HEADER..]), Ok(event));
        }
    }

    #[test]
    fn a_giant_frame_is_refused_before_it_is_buffered() {
        let mut inbox = Inbox::default();
        inbox.space(5).extend_from_slice(&[STDIN, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(inbox.next_frame(), Err(ProtocolError::TooLong { length: 0xffff_ffff }));
    }
}

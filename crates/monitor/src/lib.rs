//! The process that stays with a container: its output, its end, its restarts.
//!
//! ```text
//!            stdout, stderr (pipes) or a pty master
//! container ────────────────────────────────────────► monitor ──► log (k8s-file, json-file, journald)
//!     ▲                                                 │  ▲ unix socket, one per attached client
//!     └───────────────── stdin ─────────────────────────┘  ▼
//!                                                        attach::run_session (in `run`, `attach`, `start -a`)
//! ```
//!
//! [`supervise()`] is one thread around one `poll`. It allocates its buffers when output flows and sleeps
//! without a timeout when nothing does. What a container *is* (records, clean-up, how it is launched again)
//! belongs to the caller, through [`Lifecycle`].

#![forbid(unsafe_code)]

pub mod attach;
mod backlog;
mod clients;
pub mod exit;
pub mod logs;
mod outlet;
mod outputs;
pub mod protocol;
mod restart;
mod stdin;
pub mod supervise;
pub mod terminal;

pub use exit::{Exit, Lifecycle, Next, Relaunched};
pub use supervise::{Channels, StdinPolicy, Supervision, supervise};

/// Which of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output, and all a terminal shows.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Returns the name logs use.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters per line.
    pub columns: u16,
}

//! Reading a container's log again: all of it, its end, or as it grows.

mod chain;
mod follow;
mod join;
mod journal;
mod lines;
pub(super) mod parse;
mod tail;

use std::io;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use thiserror::Error;

use self::chain::Chain;
use self::follow::{Changes, Woken};
use self::join::Joiner;
use self::lines::Lines;
use self::tail::Beginning;
use crate::Stream;

/// Where a log is.
#[derive(Debug, Clone, Copy)]
pub enum LogSource<'a> {
    /// A file and the older ones beside it.
    File {
        /// The newest.
        path: &'a Path,
        /// How its lines look.
        format: LogFormat,
    },
    /// The journal, read by running `journalctl`.
    Journal {
        /// The container's full id.
        container_id: &'a str,
    },
}

/// How the lines of a log file look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `k8s-file`
    K8sFile,
    /// `json-file`
    JsonFile,
}

/// What is wanted of a log.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOptions<'a> {
    /// Only so many lines from the end (chosen before `since` and `until`, as Podman does).
    pub tail: Option<u64>,
    /// Only lines from then on.
    pub since: Option<SystemTime>,
    /// Only lines up to then; following ends then, too.
    pub until: Option<SystemTime>,
    /// Go on when the end is reached, until this is readable (a pidfd of the monitor: it ends when the container has for good).
    pub follow: Option<BorrowedFd<'a>>,
}

/// A line, or a piece of a very long or unfinished one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// When the container wrote it.
    pub time: SystemTime,
    /// Where.
    pub stream: Stream,
    /// What, without the newline.
    pub text: &'a [u8],
    /// Whether the line begins with this.
    pub begins_line: bool,
    /// Whether a newline followed.
    pub ends_line: bool,
}

/// Why a log cannot be read.
#[derive(Debug, Error)]
pub enum ReadLogError {
    /// The file cannot be opened.
    #[error("opening log \"{path}\"")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Reading it fails.
    #[error("reading log \"{path}\"")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No change can be waited for.
    #[error("watching log \"{path}\"")]
    Watch {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The journal's reader.
    #[error("running journalctl")]
    Journalctl(#[source] io::Error),
}

/// Hands the wanted records of a log to `sink`, in order, until they end or the sink breaks off.
pub fn read(
    source: LogSource<'_>,
    options: ReadOptions<'_>,
    sink: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
) -> Result<(), ReadLogError> {
    match source {
        LogSource::File { path, format } => read_files(path, format, options, sink),
        LogSource::Journal { container_id } => journal::read(container_id, options, sink),
    }
}

fn read_files(
    path: &Path,
    format: LogFormat,
    options: ReadOptions<'_>,
    sink: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
) -> Result<(), ReadLogError> {
    let failed = |source: io::Error| ReadLogError::Read { path: path.to_owned(), source };
    let watch_failed = |source: io::Error| ReadLogError::Watch { path: path.to_owned(), source };
    // Watched first, so that nothing can change between looking and waiting.
    let mut changes = options.follow.map(|ended| Changes::of(path, ended, options.until)).transpose().map_err(watch_failed)?;
    let mut chain = Chain::open(path).map_err(|source| ReadLogError::Open { path: path.to_owned(), source })?;
    let beginning = match options.tail {
        Some(count) => tail::find(&chain, format, count).map_err(failed)?,
        None => Beginning::of_all(&chain, options.since),
    };
    let mut lines = Lines::at(&mut chain, beginning.position());
    let mut joiner = Joiner::new(options.since, options.until);
    loop {
        let last_look = changes.as_ref().is_none_or(Changes::is_over);
        while let Some((position, line)) = lines.next(&mut chain).map_err(failed)? {
            if let Some(piece) = parse::line(format, line)
                && beginning.includes(position, piece.stream)
                && joiner.add(&piece, sink).is_break()
            {
                return Ok(());
            }
        }
        // What came into a file before it was watched woke nobody: look once more.
        if let Some(changes) = &mut changes
            && changes.watch(chain.newest()).map_err(watch_failed)?
        {
            continue;
        }
        // What is unfinished at the end of what there is: a prompt, or output without a newline.
        if joiner.flush(sink).is_break() || last_look {
            return Ok(());
        }
        if let Some(changes) = &mut changes
            && changes.wait().map_err(watch_failed)? == Woken::TimeIsUp
        {
            return Ok(());
        }
    }
}

//! Where a container's output is kept, and how it is read again.

mod batch;
mod file;
mod journald;
mod json_file;
mod k8s_file;
pub mod read;
pub mod timestamp;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use spec::log::LogDriver;
use thiserror::Error;

pub use file::DEFAULT_MAX_FILES;
pub use file::DEFAULT_MAX_SIZE;

pub use read::{LogFormat, LogSource, ReadLogError, ReadOptions, Record, read};

use crate::Stream;

/// Takes a container's output in.
///
/// Writing never fails: what cannot be kept is counted and the container goes on.
pub trait LogWriter {
    /// Keeps a piece of output as it was read.
    fn write(&mut self, stream: Stream, bytes: &[u8], now: SystemTime);

    /// Keeps what was held back until its rest would come; after the last write.
    fn finish(&mut self, _now: SystemTime) {}

    /// Returns how many bytes of output could not be kept.
    fn dropped(&self) -> u64 {
        0
    }
}

/// How a container's output is kept.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// The driver.
    pub driver: LogDriver,
    /// The file, for the drivers that have one.
    pub path: PathBuf,
    /// The most bytes of one file; [`DEFAULT_MAX_SIZE`] when absent, unbounded when negative.
    pub max_size: Option<i64>,
    /// The most files, the current one included; [`DEFAULT_MAX_FILES`] when absent.
    pub max_files: Option<u32>,
    /// Whose output it is, for the journal.
    pub identity: LogIdentity,
}

/// What journal entries say of the container they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogIdentity {
    /// The full id.
    pub container_id: String,
    /// The name.
    pub container_name: String,
    /// The image's name.
    pub image_name: String,
    /// The expanded tag; the short id in SYSLOG_IDENTIFIER when empty.
    pub tag: String,
    /// More fields (`--log-opt label=`), as name and value.
    pub labels: Vec<(String, String)>,
}

/// Why a log cannot be opened.
#[derive(Debug, Error)]
pub enum OpenLogError {
    /// The file.
    #[error("opening log \"{path}\"")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A FIFO, device or directory in its place.
    #[error("opening log \"{path}\": it is not a regular file")]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// A host without systemd.
    #[error("opening the journal: nothing listens at /run/systemd/journal/socket")]
    NoJournal,
    /// No socket to speak to it.
    #[error("opening the journal")]
    Journal(#[source] std::io::Error),
}

/// Opens the log of a container for writing.
pub fn open(config: &LogConfig) -> Result<Box<dyn LogWriter>, OpenLogError> {
    Ok(match config.driver {
        LogDriver::K8sFile => Box::new(k8s_file::K8sFile::new(file::RotatingFile::open(config)?)),
        LogDriver::JsonFile => Box::new(json_file::JsonFile::new(file::RotatingFile::open(config)?)),
        LogDriver::Journald => {
            let socket = Path::new(systemd::journal::SOCKET);
            // Nobody there is an error of now; a journal that goes away later is not.
            if !socket.exists() {
                return Err(OpenLogError::NoJournal);
            }
            Box::new(journald::Journald::new(socket, &config.identity).map_err(OpenLogError::Journal)?)
        }
        LogDriver::None | LogDriver::Passthrough | LogDriver::PassthroughTty => Box::new(Discarded),
    })
}

/// Drivers that keep nothing: `none`, and `passthrough`, whose output we never see.
struct Discarded;

impl LogWriter for Discarded {
    fn write(&mut self, _stream: Stream, _bytes: &[u8], _now: SystemTime) {}
}

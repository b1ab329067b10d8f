//! A helper process that carries packets between a container's network namespace and the host.

use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Child;

/// Why a network helper cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// The program is not installed.
    #[error("starting {program}: it is not installed")]
    Missing {
        /// Program.
        program: &'static str,
    },
    /// It cannot be started.
    #[error("starting {program}")]
    Start {
        /// Program.
        program: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A port of the host cannot be bound.
    #[error("{program} cannot listen on a port of the host: {said}")]
    Port {
        /// Program.
        program: &'static str,
        /// Its words.
        said: String,
    },
    /// It failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// Program.
        program: &'static str,
        /// Its words.
        said: String,
    },
    /// An option it does not have, or that is ours.
    #[error("option {option:?} of the network mode {program} is not known")]
    Option {
        /// Program.
        program: &'static str,
        /// Option.
        option: String,
    },
}

/// A helper that was started.
#[derive(Debug)]
pub struct Helper {
    pub(crate) program: &'static str,
    pub(crate) starting: Option<Starting>,
    pub(crate) pid: Option<i32>,
    /// Closing it ends the helper, where the helper watches it.
    pub(crate) lifeline: Option<OwnedFd>,
}

/// How a start is waited for.
#[derive(Debug)]
pub(crate) enum Starting {
    /// Its first process ends once the network is there; the one that stays wrote its pid to a file.
    Forks {
        /// The first process.
        child: Child,
        /// Where the pid is written.
        pid_file: std::path::PathBuf,
    },
    /// It writes to a pipe.
    Tells {
        /// The process, which stays.
        child: Child,
        /// Readable when the network is there.
        ready: OwnedFd,
    },
}

impl Helper {
    /// Waits until the network is there.
    pub fn wait_ready(&mut self) -> Result<(), HelperError> {
        match self.starting.take() {
            None => Ok(()),
            Some(Starting::Forks { mut child, pid_file }) => {
                let mut said = String::new();
                let status = child.wait().map_err(|source| HelperError::Start { program: self.program, source })?;
                if !status.success() {
                    if let Some(mut stderr) = child.stderr.take() {
                        let _ = stderr.read_to_string(&mut said);
                    }
                    return Err(failure(self.program, &said));
                }
                self.pid = std::fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse().ok());
                Ok(())
            }
            Some(Starting::Tells { mut child, ready }) => {
                self.pid = Some(child.id() as i32);
                let mut byte = [0u8];
                match rustix::io::retry_on_intr(|| rustix::io::read(&ready, &mut byte)) {
                    Ok(1) => Ok(()),
                    _ => {
                        let mut said = String::new();
                        let _ = child.kill();
                        if let Some(mut stderr) = child.stderr.take() {
                            let _ = stderr.read_to_string(&mut said);
                        }
                        let _ = child.wait();
                        Err(failure(self.program, &said))
                    }
                }
            }
        }
    }

    /// Process id of the helper, once it is ready.
    pub fn pid(&self) -> Option<i32> {
        self.pid
    }

    /// Ends the helper; the monitor reaps it.
    pub fn end(mut self) {
        self.lifeline = None;
        if let Some(pid) = self.pid.and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

fn failure(program: &'static str, said: &str) -> HelperError {
    let said = said.lines().map(str::trim).filter(|line| !line.is_empty()).next_back().unwrap_or("it gave no reason").to_owned();
    let lower = said.to_lowercase();
    if lower.contains("bind") || lower.contains("address already in use") || lower.contains("port") {
        HelperError::Port { program, said }
    } else {
        HelperError::Failed { program, said }
    }
}

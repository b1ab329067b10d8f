//! What the engine says when it cannot do what was asked.
//!
//! Exit codes and HTTP codes depend on the [`ErrorKind`] alone; the command line turns a [`Cure`] into the
//! next command to type. Nobody compares text.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The class of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The named object does not exist.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// What was asked makes no sense.
    InvalidInput,
    /// Something else stands in the way: in use, has dependants.
    Conflict,
    /// The object is not in the state this needs.
    WrongState,
    /// The kernel or a registry refused.
    NotPermitted,
    /// This host, or coracle, cannot do it.
    Unsupported,
    /// Something that may work later: network, full disk, helper missing.
    Unavailable,
    /// The program to run does not exist in the container (exit code 127).
    ProgramNotFound,
    /// The program to run cannot be executed (exit code 126).
    ProgramNotExecutable,
    /// A defect, or damage.
    Internal,
}

/// A cure we know. Hints speak of commands, so the command line writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cure {
    /// The name is held by this container.
    NameInUse {
        /// The name.
        name: String,
        /// Who holds it.
        id: String,
    },
    /// The image is not here and may be pulled.
    PullImage {
        /// What was typed.
        image: String,
    },
    /// The user has no sub-ids.
    SubIdsMissing {
        /// The user.
        user: String,
    },
    /// `newuidmap` is not installed.
    UidmapMissing,
    /// `newuidmap` has lost its set-user-id bit or file capability.
    UidmapPowerless,
    /// User namespaces are switched off, and this file of the kernel says so.
    UserNamespacesOff {
        /// Path of the switch.
        switch: String,
    },
    /// A port below the first unprivileged one.
    PrivilegedPort {
        /// The port.
        port: u16,
    },
    /// The port is taken.
    PortInUse {
        /// The port.
        port: u16,
    },
    /// A program of the host is missing.
    HelperMissing {
        /// Program.
        program: String,
        /// Package of Debian that has it.
        package: String,
    },
    /// The container runs.
    StopFirst {
        /// Name or id as typed.
        container: String,
    },
    /// The container does not run.
    StartFirst {
        /// Name or id as typed.
        container: String,
    },
    /// A bind mount is not accessible because of the id map.
    IdMapOwner {
        /// Path on the host.
        path: String,
        /// Owner on the host.
        uid: u32,
    },
    /// The disk is full.
    DiskFull {
        /// Where.
        path: String,
    },
    /// The registry wants a log-in.
    LogIn {
        /// Registry.
        registry: String,
    },
    /// The registry's certificate is not trusted.
    TrustRegistry {
        /// Registry.
        registry: String,
    },
    /// The controller is not delegated to the user.
    DelegateController {
        /// Controller.
        controller: String,
    },
    /// Something not further known: `doctor` may tell.
    Doctor,
    /// Used by these containers.
    InUseBy {
        /// Ids or names.
        containers: Vec<String>,
    },
}

/// An error of the engine: what was being done to which object, and why it went wrong.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    text: String,
    cure: Option<Cure>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error without a cause.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), cure: None, source: None }
    }

    /// Makes an error with its cause.
    pub fn because(kind: ErrorKind, text: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { kind, text: text.into(), cure: None, source: Some(source.into()) }
    }

    /// Makes an error of an I/O error; the kind follows the errno.
    pub fn io(text: impl Into<String>, source: impl Into<std::io::Error>) -> Self {
        let source = source.into();
        Self { kind: kind_of_io(&source), text: text.into(), cure: None, source: Some(source.into()) }
    }

    /// Adds a cure.
    #[must_use]
    pub fn with_cure(mut self, cure: Cure) -> Self {
        self.cure = Some(cure);
        self
    }

    /// Puts what was being done in front.
    #[must_use]
    pub fn while_doing(self, doing: impl Into<String>) -> Self {
        Self { kind: self.kind, cure: self.cure.clone(), text: doing.into(), source: Some(Box::new(self)) }
    }

    /// The class.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The cure, when we know one.
    pub fn cure(&self) -> Option<&Cure> {
        self.cure.as_ref()
    }

    /// The whole chain in one line, joined with `: `.
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            line.push_str(": ");
            line.push_str(&error.to_string());
            next = error.source();
        }
        line
    }

    /// Makes it ready to travel from the monitor to the command.
    pub fn to_wire(&self) -> WireError {
        WireError { kind: self.kind, text: self.chain(), cure: self.cure.clone() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error on its way between two of our processes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WireError {
    /// Class.
    pub kind: ErrorKind,
    /// The whole chain.
    pub text: String,
    /// The cure.
    pub cure: Option<Cure>,
}

impl From<WireError> for Error {
    fn from(wire: WireError) -> Self {
        Self { kind: wire.kind, text: wire.text, cure: wire.cure, source: None }
    }
}

impl From<spec::ParseError> for Error {
    fn from(error: spec::ParseError) -> Self {
        Self::new(ErrorKind::InvalidInput, error.to_string())
    }
}

fn kind_of_io(error: &std::io::Error) -> ErrorKind {
    use std::io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::AlreadyExists => ErrorKind::AlreadyExists,
        Io::PermissionDenied => ErrorKind::NotPermitted,
        Io::StorageFull | Io::QuotaExceeded => ErrorKind::Unavailable,
        Io::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Internal,
    }
}

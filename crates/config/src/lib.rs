//! Configuration files of Podman and Docker: parsers first, then one function each that reads them from their
//! places.

#![forbid(unsafe_code)]

pub mod auth;
pub mod registries;

pub use auth::{Credentials, Secret};
pub use registries::{Endpoint, Registries};

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read or written.
    #[error("reading {path:?}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be parsed.
    #[error("parsing {path:?}: {problem}")]
    Syntax {
        /// Which.
        path: String,
        /// What is wrong, with its line.
        problem: String,
    },
    /// A credential helper failed.
    #[error("asking credential helper {helper:?}: {said}")]
    Helper {
        /// Its name.
        helper: String,
        /// What it said.
        said: String,
    },
    /// A registry may not be used.
    #[error("registry {registry} is blocked in {file}")]
    Blocked {
        /// Which.
        registry: String,
        /// Where it says so.
        file: String,
    },
}

//! What a user asks for: one container, one mount, one port, one limit.
//!
//! Every front-end (flags, REST bodies, YAML) becomes these types once; the engine turns them into one
//! OCI configuration once. Types and parsers only: no I/O, no clock, no environment. A parser takes a
//! string as a user types it and says what is wrong with it in words a user can act on.

pub mod commas;
pub mod container;
pub mod device;
pub mod identity;
pub mod log;
pub mod mount;
pub mod name;
pub mod network;
pub mod process;
pub mod quantity;
pub mod resources;
pub mod restart;
pub mod security;

pub use container::ContainerSpec;
pub use name::{ContainerId, Name, NameError};

/// Why a value a user typed is not acceptable. The text names the value and what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {value:?}: {problem}")]
pub struct ParseError {
    /// What was being read: `port mapping`, `memory limit`…
    pub what: &'static str,
    /// What was given, cut at 200 characters.
    pub value: String,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

impl ParseError {
    /// Makes an error about one value.
    pub fn new(what: &'static str, value: &str, problem: impl Into<String>) -> Self {
        Self { what, value: value.chars().take(200).collect(), problem: problem.into() }
    }
}

//! The OCI runtime: a config.json becomes a process.
//!
//! [`spawn`] clones the first process into its namespaces; it builds its root beside the caller's work;
//! [`Spawned::ready`] waits for that, and [`Created::start`] lets it execute. [`exec()`] puts one more program into
//! a container. Everything is done with the new mount API on descriptors; no path of a container is joined as text.

#![forbid(unsafe_code)]

mod devices;
pub mod error;
mod exec;
mod identity;
mod init;
mod launch;
mod masks;
mod mounts;
mod options;
mod program;
mod rootfs;
pub mod seccomp;
mod sources;

pub use error::{LaunchError, Step};
pub use exec::{Exec, exec};
pub use launch::{Created, Launch, Root, Spawned, Started, Stdio, spawn};

//! Networks of one container: pasta, slirp4netns, and the files that name things.
//!
//! Mechanisms only: a plan is data, a helper is a process, a file is a text. Which of them a container gets is
//! the engine's decision.

#![forbid(unsafe_code)]

mod helper;
pub mod hosts;
pub mod pasta;
pub mod resolv;
pub mod slirp4netns;

pub use helper::{Helper, HelperError};

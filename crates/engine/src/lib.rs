//! The verbs on containers, images and volumes; their records and locks.
//!
//! One operation a file. Records are data; what runs is derived from the kernel (locks held, pidfds), never
//! from a field in a file. The engine glues the mechanisms together and is the only one that knows them all:
//!
//! ```text
//! ContainerSpec ─► container::create ─► ContainerRecord ─► container::start ─► launch (in the monitor) ─► supervise
//!                                                            plan: record + facts ─► oci config (pure)
//! ```

pub mod cgroup;
pub mod container;
pub mod doctor;
pub mod error;
pub mod facts;
mod filter;
pub mod host;
mod hostfiles;
pub mod image;
pub mod namespace;
pub mod net;
pub mod paths;
pub mod plan;
pub mod ports;
mod roots;
pub mod subids;
pub mod user;
pub mod userns;
pub mod volume;

mod json;
mod open;

pub use error::{Cure, Error, ErrorKind, Result, WireError};
pub use open::{Engine, EngineOptions};

//! The words of the Open Container Initiative: references, digests, image documents, runtime configuration.
//!
//! Types and parsers only: no I/O, no clock, no environment. Wire structs have public fields and keep
//! the names of the specifications (camelCase in JSON, snake_case here).

pub mod digest;
pub mod image;
pub mod reference;
pub mod runtime;

pub use digest::{Digest, DigestError};
pub use reference::{Reference, ReferenceError};

//! The verbs on images.

pub mod builtin;
pub mod find;
pub mod pull;
pub mod remove;

pub use find::to_use;

//! The verbs on images.

pub mod builtin;
pub mod find;

pub use find::to_use;

//! Thin safe access to Linux.

pub mod clone;
pub mod heap;
pub mod identity;
pub mod signal;

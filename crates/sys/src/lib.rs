//! Thin safe access to Linux.

pub mod heap;
pub mod signal;

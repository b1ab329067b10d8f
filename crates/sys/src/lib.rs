//! Thin safe access to Linux.

pub mod capability;
pub mod clone;
pub mod heap;
pub mod identity;
pub mod mount;
pub mod probe;
pub mod process;
pub mod seccomp;
pub mod signal;

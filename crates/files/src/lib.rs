//! Files below held directories: nothing here joins untrusted paths as text.

#![forbid(unsafe_code)]

mod beneath;
mod remove;

pub use beneath::{RootDir, clean_parts};
pub use remove::remove_tree;

//! Files below held directories: nothing here joins untrusted paths as text.

#![forbid(unsafe_code)]

mod beneath;
mod descend;
mod lock;
mod remove;
mod walk;

pub use beneath::{RootDir, clean_parts};
pub use descend::{Descent, READ_DIRECTORY};
pub use lock::{Lock, Sharing};
pub use remove::{remove_tree, remove_tree_at};
pub use walk::{Found, Step, TreeSize, Visit, names, tree_size, walk};

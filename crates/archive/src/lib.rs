//! Tar streams, read with limits and written exactly, and the compressions around them.
//!
//! A reader of our own: layers are read in one pass with both digests taken, and what tar readers of this world
//! disagree about is refused instead of guessed (threats A05, A07).

#![forbid(unsafe_code)]

mod compression;
mod reader;
mod writer;

pub use compression::{Compression, DecodeError, Decoder};
pub use reader::{Entry, EntryKind, TarError, TarReader};
pub use writer::TarWriter;

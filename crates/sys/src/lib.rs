//! Thin safe access to Linux.

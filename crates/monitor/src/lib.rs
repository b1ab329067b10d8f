//! The process that stays with a container: its output, its end, its restarts.

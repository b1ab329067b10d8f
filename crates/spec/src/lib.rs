//! What a user asks for: one container, one mount, one port, one limit. Types and parsers only; no I/O.

//! Sizes, durations and times as users type them.

//! Text for people and scripts: tables, Go templates, sizes, times. Only this crate and `cli` shape what is printed.

#![forbid(unsafe_code)]

pub mod human;
pub mod table;
pub mod template;

pub use table::Table;
pub use template::{Format, TemplateError};

/// Makes foreign text safe for a terminal: control characters and what changes the direction of text are
/// written as escapes.
pub fn printable(text: &str) -> String {
    let is_bad = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    if !text.chars().any(is_bad) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_bad(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

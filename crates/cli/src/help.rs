//! Help, in Podman's layout, written from the tables of flags.

use crate::app::ROOT_FLAGS;
use crate::args::{Flag, Kind};
use crate::commands::{self, Command};

/// Prints the help of a command.
pub(crate) fn command(command: &Command, path: &str) {
    print!("{}", command_text(command, path));
}

/// The help of a command.
pub(crate) fn command_text(command: &Command, path: &str) -> String {
    let mut text = format!("{}\n\nDescription:\n  {}\n\nUsage:\n  coracle {path} {}\n", command.about, command.description, command.usage);
    if !command.examples.is_empty() {
        text.push_str("\nExamples:\n");
        for example in command.examples {
            text.push_str(&format!("  coracle {example}\n"));
        }
    }
    let options = options(command.flags);
    if !options.is_empty() {
        text.push_str(&format!("\nOptions:\n{options}"));
    }
    text
}

/// The lines of the options; what is refused is not offered.
pub(crate) fn options(groups: &[&'static [Flag]]) -> String {
    let mut flags: Vec<&Flag> =
        groups.iter().flat_map(|group| group.iter()).filter(|flag| !matches!(flag.kind, Kind::Refused { .. })).collect();
    flags.sort_by_key(|flag| flag.long);
    let left = |flag: &Flag| {
        let short = if flag.short == ' ' { "    ".to_owned() } else { format!("-{}, ", flag.short) };
        let value = if flag.value.is_empty() { String::new() } else { format!(" {}", flag.value) };
        format!("  {short}--{}{value}", flag.long)
    };
    let width = flags.iter().map(|flag| left(flag).chars().count()).max().unwrap_or(0);
    flags.iter().map(|flag| format!("{:<width$}   {}\n", left(flag), flag.help)).collect()
}

/// Prints the help of the program.
pub(crate) fn root() {
    println!("Run containers without a daemon and without root\n\nUsage:\n  coracle [options] [command]\n\nAvailable Commands:");
    for (name, about) in commands::overview() {
        println!("  {name:<12} {about}");
    }
    print!("\nOptions:\n{}", options(&[ROOT_FLAGS]));
}

/// Prints the help of a group of commands.
pub(crate) fn group(name: &str) {
    println!("Manage {name}s\n\nDescription:\n  Manage {name}s\n\nUsage:\n  coracle {name} [command]\n\nAvailable Commands:");
    for (member, about) in commands::group_overview(name) {
        println!("  {member:<12} {about}");
    }
}

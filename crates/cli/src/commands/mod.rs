//! The table of commands. Nothing but the chosen one is looked at.

pub(crate) mod container;
pub(crate) mod image;
pub(crate) mod system;
pub(crate) mod volume;

use crate::app::App;
use crate::args::{Flag, Parsed};
use crate::failure::Failure;

/// A command.
pub(crate) struct Command {
    /// Paths that call it, the main one first.
    pub(crate) paths: &'static [&'static str],
    /// One line.
    pub(crate) about: &'static str,
    /// A sentence or two.
    pub(crate) description: &'static str,
    /// What follows its path.
    pub(crate) usage: &'static str,
    /// Lines to try.
    pub(crate) examples: &'static [&'static str],
    /// Its flags.
    pub(crate) flags: &'static [&'static [Flag]],
    /// Flags end at the first argument.
    pub(crate) options_first: bool,
    /// Fewest and most arguments.
    pub(crate) arguments: (usize, Option<usize>),
    /// What it does.
    pub(crate) run: fn(&App, Parsed) -> Result<i32, Failure>,
}

/// All commands, by area.
const AREAS: &[&[&Command]] = &[container::COMMANDS, image::COMMANDS, volume::COMMANDS, system::COMMANDS];

/// Groups: words that are followed by another.
const GROUPS: [&str; 4] = ["container", "image", "volume", "system"];

fn all() -> impl Iterator<Item = &'static Command> {
    AREAS.iter().flat_map(|area| area.iter().copied())
}

/// Finds a command by its path.
pub(crate) fn find(path: &str) -> Option<(&'static Command, &'static str)> {
    all().find_map(|command| command.paths.iter().find(|known| **known == path).map(|known| (command, *known)))
}

/// Tells whether a word is a group.
pub(crate) fn is_group(word: &str) -> bool {
    GROUPS.contains(&word)
}

/// Words that may follow a group.
pub(crate) fn members(group: &str) -> impl Iterator<Item = &'static str> {
    all().flat_map(|command| command.paths.iter()).filter_map(move |path| path.strip_prefix(group)?.strip_prefix(' '))
}

/// Words that may stand first.
pub(crate) fn top_level() -> impl Iterator<Item = &'static str> {
    all().flat_map(|command| command.paths.iter().copied()).filter(|path| !path.contains(' ')).chain(GROUPS)
}

/// Commands of the top level with their lines, sorted.
pub(crate) fn overview() -> Vec<(&'static str, &'static str)> {
    let mut lines: Vec<_> =
        all().flat_map(|command| command.paths.iter().map(|path| (*path, command.about))).filter(|(path, _)| !path.contains(' ')).collect();
    lines.extend(GROUPS.iter().map(|group| (*group, "Commands on one kind of object")));
    lines.sort_unstable();
    lines
}

/// Commands of a group with their lines, sorted.
pub(crate) fn group_overview(group: &str) -> Vec<(&'static str, &'static str)> {
    let mut lines: Vec<_> = all()
        .flat_map(|command| command.paths.iter().map(|path| (*path, command.about)))
        .filter_map(|(path, about)| Some((path.strip_prefix(group)?.strip_prefix(' ')?, about)))
        .collect();
    lines.sort_unstable();
    lines
}

/// All paths with their commands, for man pages and completions.
pub(crate) fn every_path() -> impl Iterator<Item = (&'static str, &'static Command)> {
    all().flat_map(|command| command.paths.iter().map(move |path| (*path, command)))
}

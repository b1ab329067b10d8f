//! Arguments, as Podman's parser reads them.
//!
//! Flags of a command are a table of constants; nothing is built before it is known which command was called.
//! (A full command tree of Podman's size costs 1.8 ms to build with the usual library, a sixth of a start.)

use std::collections::BTreeMap;

/// How a flag takes its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// On, or off with `=false`.
    Switch,
    /// One value; the last one given counts.
    Value,
    /// May be given often; each is one value.
    List,
    /// May be given often; each is split at commas.
    Words,
    /// Known from Podman, and not done here yet: refused by name.
    Refused {
        /// It takes a value.
        takes_value: bool,
    },
}

/// A flag of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// Name, without dashes.
    pub(crate) long: &'static str,
    /// One letter, or a space for none.
    pub(crate) short: char,
    /// Other names, never shown.
    pub(crate) aliases: &'static [&'static str],
    /// How it takes its value.
    pub(crate) kind: Kind,
    /// Word for the value in the help.
    pub(crate) value: &'static str,
    /// What it does.
    pub(crate) help: &'static str,
}

/// Declares a flag.
pub(crate) const fn flag(long: &'static str, short: char, kind: Kind, value: &'static str, help: &'static str) -> Flag {
    Flag { long, short, aliases: &[], kind, value, help }
}

/// Declares a flag with other names.
pub(crate) const fn also(flag: Flag, aliases: &'static [&'static str]) -> Flag {
    Flag { aliases, ..flag }
}

/// Declares a flag that is refused.
pub(crate) const fn refused(long: &'static str, short: char, takes_value: bool) -> Flag {
    Flag { long, short, aliases: &[], kind: Kind::Refused { takes_value }, value: "", help: "" }
}

/// What was given to a command.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parsed {
    values: BTreeMap<&'static str, Vec<String>>,
    /// Arguments that are no flags.
    pub(crate) positionals: Vec<String>,
    /// `--help` was given.
    pub(crate) help: bool,
}

/// Why arguments cannot be read; the words are Podman's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("unknown flag: {flag}{}", suggestion.as_ref().map(|s| format!(" (did you mean {s}?)")).unwrap_or_default())]
    Unknown { flag: String, suggestion: Option<String> },
    #[error("flag needs an argument: {flag}")]
    NeedsValue { flag: String },
    #[error("invalid argument {value:?} for \"--{flag}\" flag: it is true or false")]
    NotBool { flag: &'static str, value: String },
    #[error("--{flag} is not supported by coracle yet")]
    NotSupported { flag: &'static str },
}

impl Parsed {
    /// Tells whether a switch is on.
    pub(crate) fn on(&self, flag: &str) -> bool {
        self.value(flag) == Some("true")
    }

    /// Returns a switch if it was given at all.
    pub(crate) fn given(&self, flag: &str) -> Option<bool> {
        self.value(flag).map(|value| value == "true")
    }

    /// Returns the last value.
    pub(crate) fn value(&self, flag: &str) -> Option<&str> {
        self.values.get(flag).and_then(|values| values.last()).map(String::as_str)
    }

    /// Returns all values.
    pub(crate) fn all(&self, flag: &str) -> &[String] {
        self.values.get(flag).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns a value as a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, flag: &'static str) -> Result<Option<T>, spec::ParseError> {
        self.value(flag)
            .map(|value| value.parse().map_err(|_| spec::ParseError::new(flag, value, "it is not a number in range")))
            .transpose()
    }

    /// Returns a value as what it is written as.
    pub(crate) fn parsed<T: std::str::FromStr<Err = spec::ParseError>>(&self, flag: &str) -> Result<Option<T>, spec::ParseError> {
        self.value(flag).map(str::parse).transpose()
    }

    /// Returns all values as what they are written as.
    pub(crate) fn all_parsed<T: std::str::FromStr<Err = spec::ParseError>>(&self, flag: &str) -> Result<Vec<T>, spec::ParseError> {
        self.all(flag).iter().map(|value| value.parse()).collect()
    }

    fn add(&mut self, flag: &'static Flag, value: String) -> Result<(), ArgsError> {
        let values = self.values.entry(flag.long).or_default();
        match flag.kind {
            Kind::Switch => {
                let on = match value.to_ascii_lowercase().as_str() {
                    "" | "true" | "1" | "t" => "true",
                    "false" | "0" | "f" => "false",
                    _ => return Err(ArgsError::NotBool { flag: flag.long, value }),
                };
                values.push(on.to_owned());
            }
            Kind::Words => values.extend(value.split(',').map(str::to_owned)),
            Kind::Refused { takes_value } => {
                // Switched off explicitly, it asks for nothing.
                if takes_value || value != "false" {
                    return Err(ArgsError::NotSupported { flag: flag.long });
                }
            }
            _ => values.push(value),
        }
        Ok(())
    }
}

/// Reads the arguments of a command. With `options_first`, flags end at the first argument that is none.
pub(crate) fn parse(groups: &[&'static [Flag]], args: &[String], options_first: bool) -> Result<Parsed, ArgsError> {
    let flags = || groups.iter().flat_map(|group| group.iter());
    let mut parsed = Parsed::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            parsed.positionals.extend(args.cloned());
            break;
        }
        if let Some(name) = arg.strip_prefix("--") {
            let (name, inline) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value.to_owned())));
            if name == "help" {
                parsed.help = true;
                continue;
            }
            let Some(flag) = flags().find(|flag| flag.long == name || flag.aliases.contains(&name)) else {
                return Err(ArgsError::Unknown {
                    flag: format!("--{name}"),
                    suggestion: nearest(name, flags().map(|flag| flag.long)).map(|near| format!("--{near}")),
                });
            };
            let value = match (flag.kind, inline) {
                (_, Some(value)) => value,
                (Kind::Switch | Kind::Refused { takes_value: false }, None) => String::new(),
                (_, None) => args.next().cloned().ok_or_else(|| ArgsError::NeedsValue { flag: format!("--{name}") })?,
            };
            parsed.add(flag, value)?;
            continue;
        }
        if let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            let mut rest = letters;
            while let Some(letter) = rest.chars().next() {
                rest = &rest[letter.len_utf8()..];
                if letter == 'h' && !flags().any(|flag| flag.short == 'h') {
                    parsed.help = true;
                    continue;
                }
                let Some(flag) = flags().find(|flag| flag.short == letter) else {
                    return Err(ArgsError::Unknown { flag: format!("-{letter} in -{letters}"), suggestion: None });
                };
                let value = match flag.kind {
                    Kind::Switch | Kind::Refused { takes_value: false } => match rest.strip_prefix('=') {
                        Some(value) => value.to_owned(),
                        None => {
                            parsed.add(flag, String::new())?;
                            continue;
                        }
                    },
                    // `-p80:80`, `-p=80:80` and `-p 80:80` are the same.
                    _ if !rest.is_empty() => rest.strip_prefix('=').unwrap_or(rest).to_owned(),
                    _ => args.next().cloned().ok_or_else(|| ArgsError::NeedsValue { flag: format!("'{letter}' in -{letters}") })?,
                };
                parsed.add(flag, value)?;
                break;
            }
            continue;
        }
        parsed.positionals.push(arg.clone());
        if options_first {
            parsed.positionals.extend(args.cloned());
            break;
        }
    }
    Ok(parsed)
}

/// The known word most like another, if it is like it at all.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Number of letters to change (Levenshtein); the same letters in another order are one slip.
fn distance(a: &str, b: &str) -> usize {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    if a != b && sorted(a) == sorted(b) {
        return 1;
    }
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        flag("rm", ' ', Kind::Switch, "", ""),
        flag("interactive", 'i', Kind::Switch, "", ""),
        flag("tty", 't', Kind::Switch, "", ""),
        flag("publish", 'p', Kind::Words, "", ""),
        flag("env", 'e', Kind::List, "", ""),
        also(flag("network", ' ', Kind::Value, "", ""), &["net"]),
        refused("gpus", ' ', true),
    ];

    fn read(args: &[&str], options_first: bool) -> Result<Parsed, ArgsError> {
        parse(&[FLAGS], &args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>(), options_first)
    }

    #[test]
    fn flags_in_all_spellings() {
        let p =
            read(&["--rm", "-it", "-p80:80,81:81", "-p", "82", "-e", "A=b,c", "--net=host", "alpine", "sh", "-c", "--rm"], true).unwrap();
        assert!(p.on("rm") && p.on("interactive") && p.on("tty"));
        assert_eq!(p.all("publish"), ["80:80", "81:81", "82"]);
        assert_eq!(p.all("env"), ["A=b,c"]);
        assert_eq!(p.value("network"), Some("host"));
        assert_eq!(p.positionals, ["alpine", "sh", "-c", "--rm"]);
        assert_eq!(read(&["--rm=false"], false).unwrap().given("rm"), Some(false));
        assert_eq!(read(&["a", "--rm", "--", "--x"], false).unwrap().positionals, ["a", "--x"]);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(read(&["--rmm"], false).unwrap_err().to_string(), "unknown flag: --rmm (did you mean --rm?)");
        assert_eq!(read(&["--env"], false).unwrap_err().to_string(), "flag needs an argument: --env");
        assert!(read(&["--rm=x"], false).is_err() && read(&["-z"], false).is_err());
        assert_eq!(read(&["--gpus", "all"], false).unwrap_err(), ArgsError::NotSupported { flag: "gpus" });
    }
}

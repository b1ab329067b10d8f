//! Options of mounts, as `mount(8)` and the runtime specification spell them.

use sys::mount::{attr, propagation};

/// Options, sorted by what they do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Attributes set on the mount.
    pub(crate) set: u64,
    /// Attributes cleared.
    pub(crate) clear: u64,
    /// Attributes set on it and all below.
    pub(crate) recursive_set: u64,
    /// Attributes cleared on it and all below.
    pub(crate) recursive_clear: u64,
    /// Propagation, 0 for none.
    pub(crate) propagation: u64,
    /// Propagation of all below too.
    pub(crate) recursive_propagation: bool,
    /// A tmpfs takes over what lies below.
    pub(crate) copy_up: bool,
    /// What the file system itself understands.
    pub(crate) data: Vec<(String, Option<String>)>,
}

/// Sorts options; the first unknown word of a kind we decide about is returned.
pub(crate) fn parse(words: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    for word in words {
        if let Some((set, clear)) = attribute(word) {
            options.set = (options.set & !clear) | set;
            options.clear = (options.clear & !set) | clear;
            continue;
        }
        // `rro`, `rnosuid`…: the same, all the way down (runtime-spec 1.1).
        if let Some((set, clear)) = word.strip_prefix('r').filter(|rest| *rest != "w").and_then(attribute) {
            options.recursive_set = (options.recursive_set & !clear) | set;
            options.recursive_clear = (options.recursive_clear & !set) | clear;
            continue;
        }
        let kind = word.strip_prefix('r').unwrap_or(word);
        match kind {
            "private" => options.propagation = propagation::PRIVATE,
            "shared" => options.propagation = propagation::SHARED,
            "slave" => options.propagation = propagation::SLAVE,
            "unbindable" => options.propagation = propagation::UNBINDABLE,
            _ => {
                match word.as_str() {
                    // `bind` was acted upon when the source was opened; the rest are of `mount(8)` alone.
                    "bind" | "rbind" | "defaults" | "async" | "loud" | "silent" | "nomand" | "auto" | "noauto" | "relatime" => {}
                    "tmpcopyup" => options.copy_up = true,
                    "notmpcopyup" => options.copy_up = false,
                    "idmap" | "ridmap" | "remount" | "mand" => return Err(word.clone()),
                    other if other.starts_with("idmap=") => return Err(word.clone()),
                    other => match other.split_once('=') {
                        Some((key, value)) => options.data.push((key.to_owned(), Some(value.to_owned()))),
                        None => options.data.push((other.to_owned(), None)),
                    },
                }
                continue;
            }
        }
        options.recursive_propagation = word.starts_with('r');
    }
    // The access time bits are one field: setting it clears it first.
    if options.set & attr::ATIME_MASK != 0 {
        options.clear |= attr::ATIME_MASK;
    }
    Ok(options)
}

/// Bits set and cleared by a word.
fn attribute(word: &str) -> Option<(u64, u64)> {
    Some(match word {
        "ro" => (attr::RDONLY, 0),
        "rw" => (0, attr::RDONLY),
        "nosuid" => (attr::NOSUID, 0),
        "suid" => (0, attr::NOSUID),
        "nodev" => (attr::NODEV, 0),
        "dev" => (0, attr::NODEV),
        "noexec" => (attr::NOEXEC, 0),
        "exec" => (0, attr::NOEXEC),
        "noatime" => (attr::NOATIME, 0),
        "strictatime" => (attr::STRICTATIME, 0),
        "nodiratime" => (attr::NODIRATIME, 0),
        "diratime" => (0, attr::NODIRATIME),
        "nosymfollow" => (attr::NOSYMFOLLOW, 0),
        "symfollow" => (0, attr::NOSYMFOLLOW),
        _ => return None,
    })
}

/// Removes doubled and trailing slashes and `.` parts, and resolves `..` by name.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Options {
        parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn words_are_sorted_by_what_they_do() {
        let options = parsed(&["rbind", "ro", "nosuid", "rprivate", "size=64k", "huge"]);
        assert_eq!(options.set, attr::RDONLY | attr::NOSUID);
        assert_eq!((options.propagation, options.recursive_propagation), (propagation::PRIVATE, true));
        assert_eq!(options.data, [("size".to_owned(), Some("64k".to_owned())), ("huge".to_owned(), None)]);
        assert_eq!(parsed(&["ro", "rw"]).set, 0);
        assert_eq!(parsed(&["rro"]).recursive_set, attr::RDONLY);
        assert_eq!(parsed(&["rw"]).clear, attr::RDONLY);
        assert_eq!(parsed(&["relatime"]), Options::default());
        assert!(parse(&["idmap".to_owned()]).is_err());
    }

    #[test]
    fn paths_are_cleaned() {
        assert_eq!(clean("//a/./b/../c/"), "/a/c");
        assert_eq!(clean("/../.."), "/");
    }
}

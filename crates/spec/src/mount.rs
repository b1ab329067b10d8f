//! Mounts, volumes, tmpfs, secrets (`-v`, `--mount`, `--tmpfs`, `--volumes-from`, `--secret`).

use crate::Name;
use serde::{Deserialize, Serialize};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// What is mounted.
    pub source: MountSource,
    /// Where: absolute, in the container.
    pub target: String,
    /// How.
    #[serde(default)]
    pub options: MountOptions,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountSource {
    /// A path of the host, absolute (the command line makes it so).
    Bind {
        /// The path.
        path: String,
        /// Made as a directory when missing, as `-v` in Docker does and Podman does not.
        create: bool,
    },
    /// A named volume, made when missing.
    Volume(Name),
    /// A volume without a name.
    AnonymousVolume,
    /// A tmpfs.
    Tmpfs,
    /// An image, read-only unless `rw`.
    Image(String),
    /// A new devpts.
    Devpts,
    /// A ramfs.
    Ramfs,
    /// A glob of host paths (`--mount type=glob`).
    Glob(String),
}

/// How something is mounted. `None` is the default of its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountOptions {
    /// Read-only.
    pub read_only: Option<bool>,
    /// SELinux: shared (`z`) or private (`Z`) label.
    pub relabel: Option<Relabel>,
    /// Owner changed to the container's user (`U`).
    pub chown: bool,
    /// Id-mapped: `idmap` alone is the container's map.
    pub idmap: Option<String>,
    /// `private`, `rprivate`, `shared`…
    pub propagation: Option<String>,
    /// `bind` alone: not recursive.
    pub non_recursive: bool,
    /// Path inside the volume or image.
    pub subpath: Option<String>,
    /// Volumes: `nocopy` switches copy-up off. tmpfs: `tmpcopyup`, `notmpcopyup`.
    pub copy: Option<bool>,
    /// tmpfs: size in bytes.
    pub tmpfs_size: Option<u64>,
    /// tmpfs: mode.
    pub tmpfs_mode: Option<u32>,
    /// `noexec`, `nodev`, `nosuid`, `exec`, `dev`, `suid`, `noatime`… as given, in order.
    pub flags: Vec<String>,
    /// `O`: an overlay whose changes are thrown away; with `upperdir` and `workdir` kept.
    pub overlay: Option<OverlayMount>,
    /// devpts: uid, gid, mode, max, as `key=value`.
    pub extra: Vec<String>,
    /// Volume labels and driver options of `--mount type=volume,…`.
    pub volume_options: Vec<String>,
}

/// SELinux relabelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relabel {
    /// `z`
    Shared,
    /// `Z`
    Private,
}

/// The `O` option.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayMount {
    /// Directory that keeps the changes.
    pub upper: Option<String>,
    /// Its work directory.
    pub work: Option<String>,
}

/// `--tmpfs PATH[:options]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmpfsSpec {
    /// Where.
    pub target: String,
    /// Options as given.
    pub options: Vec<String>,
}

/// `--volumes-from CONTAINER[:options]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumesFrom {
    /// Container.
    pub container: String,
    /// `ro`, `rw`, `z`.
    pub options: Vec<String>,
}

/// `--image-volume`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnonymousVolumes {
    /// An anonymous volume each.
    #[default]
    Anonymous,
    /// A tmpfs each.
    Tmpfs,
    /// Nothing.
    Ignore,
}

/// `--secret NAME[,type=mount|env,target=…,uid=,gid=,mode=]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRequest {
    /// The secret.
    pub name: String,
    /// As an environment variable instead of a file.
    pub as_env: bool,
    /// File or variable name.
    pub target: Option<String>,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Mode.
    pub mode: u32,
}

fn invalid(what: &'static str, text: &str, why: impl Into<String>) -> crate::ParseError {
    crate::ParseError::new(what, text, why)
}

/// Sets a choice that can be made once; `false` if something else was chosen before.
fn choose<T: PartialEq>(place: &mut Option<T>, value: T) -> bool {
    let fits = place.as_ref().is_none_or(|chosen| *chosen == value);
    *place = Some(value);
    fits
}

/// The option that means the opposite.
fn opposite(flag: &str) -> Option<&'static str> {
    [
        ("noexec", "exec"),
        ("nodev", "dev"),
        ("nosuid", "suid"),
        ("nodiratime", "diratime"),
        ("noatime", "strictatime"),
        ("noatime", "relatime"),
        ("strictatime", "relatime"),
    ]
    .into_iter()
    .find_map(|(a, b)| {
        if a == flag {
            Some(b)
        } else if b == flag {
            Some(a)
        } else {
            None
        }
    })
}

/// Refuses options that say two different things of one matter.
fn check_words<'a>(what: &'static str, text: &str, words: impl Iterator<Item = &'a str>) -> Result<(), crate::ParseError> {
    let (mut access, mut relabel, mut propagation, mut copy, mut bind) = (None, None, None, None, None);
    let mut flags: Vec<&str> = Vec::new();
    for word in words {
        let fits = match word {
            "ro" | "readonly" => choose(&mut access, "ro"),
            "rw" => choose(&mut access, "rw"),
            "z" | "Z" => choose(&mut relabel, word),
            "copy" | "nocopy" => choose(&mut copy, word),
            "bind" | "rbind" => choose(&mut bind, word),
            word if PROPAGATION.contains(&word) => choose(&mut propagation, word),
            word => {
                flags.push(word);
                opposite(word).is_none_or(|other| !flags.contains(&other))
            }
        };
        if !fits {
            return Err(invalid(what, text, format!("option {word:?} contradicts another one")));
        }
    }
    Ok(())
}

/// How mounts below are seen by others (mount_namespaces(7)).
const PROPAGATION: [&str; 8] = ["private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"];

/// A path must be absolute and can hold no NUL; colons and commas are a matter of spelling.
fn check_target(what: &'static str, text: &str, target: &str) -> Result<(), crate::ParseError> {
    if !target.starts_with('/') {
        return Err(invalid(what, text, "the path in the container must be absolute"));
    }
    if target.split('/').all(|part| part.is_empty() || part == ".") {
        return Err(invalid(what, text, "the root of the container cannot be mounted over"));
    }
    if target.contains('\0') { Err(invalid(what, text, "a path cannot hold a NUL")) } else { Ok(()) }
}

/// Splits at colons; `\:` is a colon of the path.
fn split_colons(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = parts.len() - 1;
        match letter {
            '\\' if letters.peek() == Some(&':') => parts[last].extend(letters.next()),
            ':' => parts.push(String::new()),
            other => parts[last].push(other),
        }
    }
    parts
}

/// Applies one option word; `false` if it is not known.
fn apply_word(options: &mut MountOptions, word: &str) -> bool {
    match word {
        "ro" | "readonly" => options.read_only = Some(true),
        "rw" => options.read_only = Some(false),
        "z" => options.relabel = Some(Relabel::Shared),
        "Z" => options.relabel = Some(Relabel::Private),
        "U" => options.chown = true,
        "O" => options.overlay = Some(options.overlay.take().unwrap_or_default()),
        "bind" => options.non_recursive = true,
        "rbind" => options.non_recursive = false,
        "nocopy" => options.copy = Some(false),
        "copy" => options.copy = Some(true),
        "idmap" => options.idmap = Some(String::new()),
        word if PROPAGATION.contains(&word) => options.propagation = Some(word.to_owned()),
        "noexec" | "exec" | "nodev" | "dev" | "nosuid" | "suid" | "noatime" | "strictatime" | "nodiratime" | "diratime" | "relatime"
        | "nosymfollow" => {
            options.flags.push(word.to_owned());
        }
        _ => match word.split_once('=') {
            Some((_, "")) => return false,
            Some(("idmap", map)) => options.idmap = Some(map.to_owned()),
            Some(("upperdir", path)) => options.overlay.get_or_insert_default().upper = Some(path.to_owned()),
            Some(("workdir", path)) => options.overlay.get_or_insert_default().work = Some(path.to_owned()),
            Some(("subpath", path)) => options.subpath = Some(path.to_owned()),
            _ => return false,
        },
    }
    true
}

impl std::str::FromStr for MountSpec {
    type Err = crate::ParseError;

    /// `-v [SOURCE:]TARGET[:OPTIONS]`. A source with a slash in front, or a dot, is a path; else it is a volume.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let what = "volume";
        let parts = split_colons(text);
        let (source, target, words) = match parts.as_slice() {
            [target] => (None, target.as_str(), ""),
            [source, target] => (Some(source.as_str()), target.as_str(), ""),
            [source, target, words] => (Some(source.as_str()), target.as_str(), words.as_str()),
            _ => return Err(invalid(what, text, "it is written [SOURCE:]TARGET[:OPTIONS]")),
        };
        check_target(what, text, target)?;
        let source = match source {
            None => MountSource::AnonymousVolume,
            Some("") => return Err(invalid(what, text, "the source is empty")),
            Some(path) if path.contains('\0') => return Err(invalid(what, text, "a path cannot hold a NUL")),
            Some(path) if path.starts_with(['/', '.', '~']) => MountSource::Bind { path: path.to_owned(), create: false },
            Some(name) => MountSource::Volume(Name::parse(name).map_err(|e| invalid(what, text, e.to_string()))?),
        };
        let mut options = MountOptions::default();
        check_words(what, text, words.split(','))?;
        for word in words.split(',').filter(|word| !word.is_empty()) {
            if !apply_word(&mut options, word) {
                return Err(invalid(what, text, format!("option {word:?} is not known")));
            }
        }
        if options.copy.is_some() && !matches!(source, MountSource::Volume(_) | MountSource::AnonymousVolume) {
            return Err(invalid(what, text, "copy and nocopy are options of volumes"));
        }
        Ok(Self { source, target: target.to_owned(), options })
    }
}

/// Tells why an option of `--mount` does not belong to a type.
fn misplaced(kind: &str, key: &str) -> Option<&'static str> {
    match key {
        "tmpfs-size" | "tmpfs-mode" | "tmpcopyup" | "notmpcopyup" | "size" if !matches!(kind, "tmpfs" | "ramfs") => {
            Some("is an option of type=tmpfs")
        }
        "volume-nocopy" | "volume-opt" | "volume-label" | "volume-subpath" | "copy" | "nocopy" if kind != "volume" => {
            Some("is an option of type=volume")
        }
        "bind-propagation" | "bind-nonrecursive" | "bind" | "rbind" | "relabel" | "z" | "Z"
            if !matches!(kind, "bind" | "glob" | "volume") =>
        {
            Some("is an option of type=bind")
        }
        "subpath" | "image-subpath" if !matches!(kind, "image" | "volume") => Some("is an option of type=image and type=volume"),
        "source" | "src" if matches!(kind, "tmpfs" | "devpts" | "ramfs") => Some("means nothing for a file system that is made anew"),
        _ => None,
    }
}

/// Parses `--mount type=…,source=…,target=…`.
pub fn parse_mount(text: &str) -> Result<MountSpec, crate::ParseError> {
    let what = "mount";
    let (mut kind, mut source, mut target) = ("volume".to_owned(), None, None);
    let mut options = MountOptions::default();
    let fields = crate::commas::split(what, text)?;
    check_words(what, text, fields.iter().map(String::as_str))?;
    // Which options there are depends on the type, wherever it stands.
    if let Some(named) = fields.iter().rev().find_map(|field| field.strip_prefix("type=")) {
        kind = named.to_owned();
    }
    for field in fields.iter().map(String::as_str).filter(|field| !field.is_empty()) {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        let on = || match value {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(invalid(what, text, format!("{key} is true or false, not {other:?}"))),
        };
        let need = || {
            value.filter(|value| !value.is_empty()).map(str::to_owned).ok_or_else(|| invalid(what, text, format!("{key} needs a value")))
        };
        if let Some(why) = misplaced(&kind, key) {
            return Err(invalid(what, text, format!("{key} {why}")));
        }
        match key {
            "type" => drop(need()?),
            "source" | "src" => source = Some(need()?),
            "target" | "dst" | "destination" => target = Some(need()?),
            "ro" | "readonly" => options.read_only = Some(on()?),
            "rw" => options.read_only = Some(!on()?),
            "relabel" => {
                options.relabel = Some(match need()?.as_str() {
                    "shared" => Relabel::Shared,
                    "private" => Relabel::Private,
                    other => return Err(invalid(what, text, format!("relabel is shared or private, not {other:?}"))),
                });
            }
            "U" | "chown" => options.chown = on()?,
            "bind-propagation" => options.propagation = Some(need()?),
            "bind-nonrecursive" => options.non_recursive = on()?,
            "idmap" => options.idmap = Some(value.unwrap_or_default().to_owned()),
            "subpath" | "volume-subpath" | "image-subpath" => options.subpath = Some(need()?),
            "volume-nocopy" => options.copy = Some(!on()?),
            "volume-opt" | "volume-label" => options.volume_options.push(need()?),
            "tmpfs-size" | "size" => options.tmpfs_size = Some(crate::quantity::parse_size("tmpfs size", &need()?)?),
            "tmpfs-mode" => options.tmpfs_mode = Some(crate::quantity::parse_mode(what, &need()?)?),
            "tmpcopyup" => options.copy = Some(on()?),
            "notmpcopyup" => options.copy = Some(!on()?),
            "consistency" => {}
            "uid" | "gid" | "mode" | "max" if kind == "devpts" => options.extra.push(field.to_owned()),
            _ if value.is_none() && apply_word(&mut options, key) => {}
            _ => return Err(invalid(what, text, format!("{key:?} is not known"))),
        }
    }
    let target = match (target, &source) {
        (Some(target), _) => target,
        // What a glob finds keeps its place unless told otherwise.
        (None, Some(pattern)) if kind == "glob" => pattern.rsplit_once('/').map(|(dir, _)| dir.to_owned()).unwrap_or_default(),
        (None, _) => return Err(invalid(what, text, "it needs a target")),
    };
    check_target(what, text, &target)?;
    if source.as_ref().is_some_and(|source| source.contains('\0')) {
        return Err(invalid(what, text, "a path cannot hold a NUL"));
    }
    if let Some(propagation) = &options.propagation
        && !PROPAGATION.contains(&propagation.as_str())
    {
        return Err(invalid(what, text, format!("propagation {propagation:?} is not known")));
    }
    let needed = |source: Option<String>| source.ok_or_else(|| invalid(what, text, "it needs a source"));
    let source = match kind.as_str() {
        "bind" => MountSource::Bind { path: needed(source)?, create: false },
        "volume" => match source {
            Some(name) => MountSource::Volume(Name::parse(&name).map_err(|e| invalid(what, text, e.to_string()))?),
            None => MountSource::AnonymousVolume,
        },
        "tmpfs" => MountSource::Tmpfs,
        "image" => MountSource::Image(needed(source)?),
        "devpts" => MountSource::Devpts,
        "ramfs" => MountSource::Ramfs,
        "glob" => MountSource::Glob(needed(source)?),
        other => {
            return Err(invalid(
                what,
                text,
                format!("type {other:?} is not known: it is bind, volume, tmpfs, image, devpts, ramfs or glob"),
            ));
        }
    };
    Ok(MountSpec { source, target, options })
}

impl std::str::FromStr for TmpfsSpec {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        check_target("tmpfs", text, target)?;
        let known = [
            "rprivate",
            "private",
            "rshared",
            "shared",
            "rslave",
            "slave",
            "tmpcopyup",
            "notmpcopyup",
            "ro",
            "rw",
            "noexec",
            "exec",
            "nodev",
            "dev",
            "nosuid",
            "suid",
            "noatime",
            "relatime",
            "strictatime",
            "sync",
            "async",
            "U",
            "noswap",
        ];
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let fits = match option.split_once('=') {
                Some(("size", size)) => size.strip_suffix('%').map_or_else(
                    || crate::quantity::parse_size("tmpfs size", size).is_ok(),
                    |percent| crate::quantity::digits::<u32>(percent).is_some(),
                ),
                Some(("mode", mode)) => crate::quantity::parse_mode("tmpfs mode", mode).is_ok(),
                Some(("uid" | "gid" | "nr_inodes" | "nr_blocks", number)) => crate::quantity::parse_size("tmpfs option", number).is_ok(),
                Some(("huge" | "mpol" | "context" | "rootcontext" | "fscontext" | "defcontext", value)) => !value.is_empty(),
                Some(_) => false,
                None => known.contains(&option),
            };
            if !fits {
                return Err(invalid("tmpfs", text, format!("option {option:?} is not known, or has a bad value")));
            }
        }
        check_words("tmpfs", text, options.split(','))?;
        Ok(Self { target: target.to_owned(), options: options.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect() })
    }
}

impl std::str::FromStr for VolumesFrom {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (container, options) = text.split_once(':').unwrap_or((text, ""));
        let options: Vec<String> = options.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect();
        if let Some(bad) = options.iter().find(|o| !["ro", "rw", "z"].contains(&o.as_str())) {
            return Err(invalid("volumes-from", text, format!("option {bad:?} is not known: it is ro, rw or z")));
        }
        if container.is_empty() {
            return Err(invalid("volumes-from", text, "it names no container"));
        }
        check_words("volumes-from", text, options.iter().map(String::as_str))?;
        Ok(Self { container: container.to_owned(), options })
    }
}

impl std::str::FromStr for SecretRequest {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let what = "secret";
        let fields = crate::commas::split(what, text)?;
        let mut secret = Self { name: String::new(), as_env: false, target: None, uid: 0, gid: 0, mode: 0o444 };
        let mut is_file_option = false;
        for (place, field) in fields.iter().enumerate() {
            let number = |value: &str| crate::quantity::digits(value).ok_or_else(|| invalid(what, text, "uid and gid are numbers"));
            match field.split_once('=') {
                None if place == 0 => secret.name = field.clone(),
                Some(("source", name)) => secret.name = name.to_owned(),
                Some(("type", "mount")) => secret.as_env = false,
                Some(("type", "env")) => secret.as_env = true,
                Some(("target", target)) if !target.is_empty() && !target.contains('\0') => secret.target = Some(target.to_owned()),
                Some(("uid", uid)) => (secret.uid, is_file_option) = (number(uid)?, true),
                Some(("gid", gid)) => (secret.gid, is_file_option) = (number(gid)?, true),
                Some(("mode", mode)) => (secret.mode, is_file_option) = (crate::quantity::parse_mode(what, mode)?, true),
                _ => {
                    return Err(invalid(
                        what,
                        text,
                        format!("{field:?} is not known: options are type=mount|env, target=, uid=, gid=, mode="),
                    ));
                }
            }
        }
        if secret.as_env && is_file_option {
            return Err(invalid(what, text, "uid, gid and mode are options of type=mount"));
        }
        crate::Name::parse(&secret.name).map_err(|e| invalid(what, text, e.to_string()))?;
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_in_all_spellings() {
        let parse = |text: &str| text.parse::<MountSpec>();
        assert_eq!(parse("/data").unwrap().source, MountSource::AnonymousVolume);
        assert!(matches!(parse("name:/data").unwrap().source, MountSource::Volume(name) if name.as_str() == "name"));
        let bind = parse("/a:/b:ro,Z,rslave,noexec").unwrap();
        assert_eq!(bind.source, MountSource::Bind { path: "/a".into(), create: false });
        assert_eq!((bind.options.read_only, bind.options.relabel), (Some(true), Some(Relabel::Private)));
        assert_eq!((bind.options.propagation.as_deref(), bind.options.flags), (Some("rslave"), vec!["noexec".to_owned()]));
        assert_eq!(parse("/a:/b:O,upperdir=/u,workdir=/w").unwrap().options.overlay.unwrap().upper.as_deref(), Some("/u"));
        for bad in ["", "a:b", ":/b", "/a:/b:xx", "/a:/b:ro:rw", "a/b:/c", "..:b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mounts_in_long_form() {
        let tmpfs = parse_mount("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770").unwrap();
        assert_eq!((tmpfs.options.tmpfs_size, tmpfs.options.tmpfs_mode), (Some(1 << 20), Some(0o1770)));
        assert_eq!(parse_mount("type=bind,src=/a,target=/b,readonly").unwrap().options.read_only, Some(true));
        assert_eq!(parse_mount("type=image,source=alpine,target=/i").unwrap().source, MountSource::Image("alpine".into()));
        for bad in [
            "",
            "type=bind,target=/b",
            "type=x,target=/b",
            "type=tmpfs",
            "type=tmpfs,target=b",
            "type=tmpfs,target=/b,foo=1",
            "type=bind,src=/a,dst=/b,ro=maybe",
        ] {
            assert!(parse_mount(bad).is_err(), "{bad}");
        }
    }
}

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
        "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" | "unbindable" | "runbindable" => options.propagation = Some(word.to_owned()),
        "noexec" | "exec" | "nodev" | "dev" | "nosuid" | "suid" | "noatime" | "strictatime" | "nodiratime" | "diratime" | "relatime" | "nosymfollow" => {
            options.flags.push(word.to_owned());
        }
        _ => match word.split_once('=') {
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
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, words) = match parts.as_slice() {
            [target] => (None, *target, ""),
            [source, target] => (Some(*source), *target, ""),
            [source, target, words] => (Some(*source), *target, *words),
            _ => return Err(invalid(what, text, "it is written [SOURCE:]TARGET[:OPTIONS]")),
        };
        if !target.starts_with('/') {
            return Err(invalid(what, text, "the path in the container must be absolute"));
        }
        let source = match source {
            None => MountSource::AnonymousVolume,
            Some("") => return Err(invalid(what, text, "the source is empty")),
            Some(path) if path.starts_with(['/', '.', '~']) => MountSource::Bind { path: path.to_owned(), create: false },
            Some(name) => MountSource::Volume(Name::parse(name).map_err(|e| invalid(what, text, e.to_string()))?),
        };
        let mut options = MountOptions::default();
        for word in words.split(',').filter(|word| !word.is_empty()) {
            if !apply_word(&mut options, word) {
                return Err(invalid(what, text, format!("option {word:?} is not known")));
            }
        }
        Ok(Self { source, target: target.to_owned(), options })
    }
}

/// Parses `--mount type=…,source=…,target=…`.
pub fn parse_mount(text: &str) -> Result<MountSpec, crate::ParseError> {
    let what = "mount";
    let (mut kind, mut source, mut target) = ("volume".to_owned(), None, None);
    let mut options = MountOptions::default();
    for field in text.split(',').filter(|field| !field.is_empty()) {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        let on = || match value {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(invalid(what, text, format!("{key} is true or false, not {other:?}"))),
        };
        let need = || value.filter(|value| !value.is_empty()).map(str::to_owned).ok_or_else(|| invalid(what, text, format!("{key} needs a value")));
        match key {
            "type" => kind = need()?,
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
            "tmpfs-mode" => options.tmpfs_mode = Some(u32::from_str_radix(&need()?, 8).map_err(|_| invalid(what, text, "the mode is octal"))?),
            "tmpcopyup" => options.copy = Some(on()?),
            "notmpcopyup" => options.copy = Some(!on()?),
            "consistency" => {}
            "uid" | "gid" | "mode" | "max" if kind == "devpts" => options.extra.push(field.to_owned()),
            _ if value.is_none() && apply_word(&mut options, key) => {}
            _ => return Err(invalid(what, text, format!("{key:?} is not known"))),
        }
    }
    let target = target.ok_or_else(|| invalid(what, text, "it needs a target"))?;
    if !target.starts_with('/') {
        return Err(invalid(what, text, "the target must be absolute"));
    }
    if let Some(propagation) = &options.propagation
        && !["private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"].contains(&propagation.as_str())
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
        other => return Err(invalid(what, text, format!("type {other:?} is not known: it is bind, volume, tmpfs, image, devpts, ramfs or glob"))),
    };
    Ok(MountSpec { source, target, options })
}

impl std::str::FromStr for TmpfsSpec {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        if !target.starts_with('/') {
            return Err(invalid("tmpfs", text, "the path must be absolute"));
        }
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
        Ok(Self { container: container.to_owned(), options })
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
        for bad in ["", "type=bind,target=/b", "type=x,target=/b", "type=tmpfs", "type=tmpfs,target=b", "type=tmpfs,target=/b,foo=1", "type=bind,src=/a,dst=/b,ro=maybe"] {
            assert!(parse_mount(bad).is_err(), "{bad}");
        }
    }
}

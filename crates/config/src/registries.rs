//! `registries.conf`, version 2 (containers-registries.conf(5)): short names, mirrors, insecure and blocked.

use crate::ConfigError;
use oci::Reference;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the files say of registries.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    search: Option<Vec<String>>,
    entries: Vec<Entry>,
    aliases: BTreeMap<String, String>,
    files: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Entry {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
    #[serde(default, rename = "mirror-by-digest-only")]
    mirror_by_digest_only: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default, rename = "pull-from-mirror")]
    pull_from_mirror: String,
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(rename = "unqualified-search-registries")]
    search: Option<Vec<String>>,
    #[serde(default)]
    registry: Vec<Entry>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    registries: Option<toml::Value>,
}

/// A place an image may be had from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The image, as it is called there.
    pub reference: Reference,
    /// Without a certificate, or without TLS.
    pub insecure: bool,
}

impl Registries {
    /// Reads the files from their places; a file given by the environment stands alone.
    pub fn load() -> Result<Self, ConfigError> {
        let mut files = Vec::new();
        if let Some(path) = std::env::var_os("CONTAINERS_REGISTRIES_CONF").or_else(|| std::env::var_os("REGISTRIES_CONFIG_PATH")) {
            files.push(PathBuf::from(path));
        } else {
            let home = user_config();
            let own = home.as_ref().map(|home| home.join("registries.conf")).filter(|path| path.exists());
            files.push(own.unwrap_or_else(|| "/etc/containers/registries.conf".into()));
            let own = home.map(|home| home.join("registries.conf.d")).filter(|path| path.exists());
            files.extend(drop_ins(&own.unwrap_or_else(|| "/etc/containers/registries.conf.d".into())));
        }
        let mut all = Self::default();
        for path in files {
            match std::fs::read_to_string(&path) {
                Ok(text) => all.add(&text, &path.to_string_lossy())?,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(ConfigError::Io { path: path.to_string_lossy().into_owned(), source }),
            }
        }
        Ok(all)
    }

    /// Adds the text of one file; later ones win.
    pub fn add(&mut self, text: &str, path: &str) -> Result<(), ConfigError> {
        let syntax = |problem: String| ConfigError::Syntax { path: path.to_owned(), problem };
        let file: File = toml::from_str(text).map_err(|e| syntax(e.to_string().trim().replace('\n', " ")))?;
        if file.registries.is_some() {
            return Err(syntax("it is in the old format (version 1): write [[registry]] tables instead of [registries.…]".to_owned()));
        }
        if file.search.is_some() {
            self.search = file.search;
        }
        for mut entry in file.registry {
            if entry.prefix.is_empty() {
                entry.prefix = entry.location.clone();
            }
            if entry.prefix.is_empty() {
                return Err(syntax("a [[registry]] has neither prefix nor location".to_owned()));
            }
            self.entries.retain(|known| known.prefix != entry.prefix);
            self.entries.push(entry);
        }
        self.aliases.extend(file.aliases);
        self.files.push(path.to_owned());
        Ok(())
    }

    /// Full names a name may mean, in order: an alias, or each registry that is searched.
    pub fn candidates(&self, reference: &Reference) -> Vec<Reference> {
        if !reference.is_short() {
            return vec![reference.clone()];
        }
        if let Some(alias) = self.aliases.get(reference.repository()).filter(|alias| !alias.is_empty())
            && let Ok(full) = Reference::parse(alias)
        {
            let tagged = match (reference.tag(), reference.digest()) {
                (_, Some(digest)) => full.with_digest(digest),
                (Some(tag), None) => full.with_tag(tag).unwrap_or(full),
                (None, None) => full,
            };
            return vec![tagged];
        }
        match &self.search {
            Some(search) if !search.is_empty() => search.iter().map(|registry| reference.at_registry(registry)).collect(),
            _ => vec![reference.at_registry("docker.io")],
        }
    }

    /// Places to get an image from: its mirrors, then its own.
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>, ConfigError> {
        let name = reference.name();
        let entry = self.entries.iter().filter(|entry| matches(&entry.prefix, &name)).max_by_key(|entry| entry.prefix.len());
        let Some(entry) = entry else { return Ok(vec![Endpoint { reference: reference.clone(), insecure: false }]) };
        if entry.blocked {
            return Err(ConfigError::Blocked { registry: entry.prefix.clone(), file: self.files.last().cloned().unwrap_or_default() });
        }
        let mut endpoints = Vec::new();
        for mirror in &entry.mirror {
            let only_digest = entry.mirror_by_digest_only || mirror.pull_from_mirror == "digest-only";
            let only_tag = mirror.pull_from_mirror == "tag-only";
            if only_digest && reference.digest().is_none() || only_tag && reference.digest().is_some() {
                continue;
            }
            endpoints.extend(
                moved(reference, &entry.prefix, &mirror.location).map(|reference| Endpoint { reference, insecure: mirror.insecure }),
            );
        }
        let own = if entry.location.is_empty() { Some(reference.clone()) } else { moved(reference, &entry.prefix, &entry.location) };
        endpoints.extend(own.map(|reference| Endpoint { reference, insecure: entry.insecure }));
        Ok(endpoints)
    }
}

/// `*.example.com` fits hosts below; other prefixes end at a slash, a colon or the end.
fn matches(prefix: &str, name: &str) -> bool {
    if let Some(domain) = prefix.strip_prefix('*') {
        let host = name.split('/').next().unwrap_or(name);
        return host.split(':').next().unwrap_or(host).ends_with(domain);
    }
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']))
}

fn moved(reference: &Reference, prefix: &str, location: &str) -> Option<Reference> {
    let text = reference.to_string();
    let rest = if let Some(domain) = prefix.strip_prefix('*') {
        let at = text.find(domain)? + domain.len();
        &text[at..]
    } else {
        text.strip_prefix(prefix)?
    };
    Reference::parse(&format!("{location}{rest}")).ok()
}

fn user_config() -> Option<PathBuf> {
    if rustix_uid_is_root() {
        return None;
    }
    let base = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(base.join("containers"))
}

pub(crate) fn rustix_uid_is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

fn drop_ins(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "conf")).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Registries {
        let mut all = Registries::default();
        all.add(text, "registries.conf").unwrap();
        all
    }

    fn reference(text: &str) -> Reference {
        Reference::parse(text).unwrap()
    }

    #[test]
    fn mirrors_come_first_and_prefixes_end_at_borders() {
        let all = parsed(
            "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:5000\"\ninsecure = true\n",
        );
        let endpoints = all.endpoints(&reference("docker.io/library/nginx:1")).unwrap();
        let shown: Vec<String> = endpoints.iter().map(|e| format!("{} {}", e.reference, e.insecure)).collect();
        assert_eq!(shown, ["127.0.0.1:5000/library/nginx:1 true", "docker.io/library/nginx:1 false"]);
        assert_eq!(all.endpoints(&reference("docker.io.example.com/a")).unwrap().len(), 1);
    }

    #[test]
    fn short_names_are_searched_or_aliased() {
        let all = parsed(
            "unqualified-search-registries = [\"quay.io\", \"docker.io\"]\n[aliases]\nfedora = \"registry.fedoraproject.org/fedora\"\n",
        );
        let names = |text: &str| all.candidates(&reference(text)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names("nginx"), ["quay.io/nginx", "docker.io/library/nginx"]);
        assert_eq!(names("fedora:40"), ["registry.fedoraproject.org/fedora:40"]);
        assert_eq!(names("localhost/x"), ["localhost/x"]);
        assert_eq!(Registries::default().candidates(&reference("a/b"))[0].to_string(), "docker.io/a/b");
    }

    #[test]
    fn blocked_and_broken_files_are_named() {
        let all = parsed("[[registry]]\nlocation = \"bad.example\"\nblocked = true\n");
        assert!(all.endpoints(&reference("bad.example/x")).unwrap_err().to_string().contains("bad.example"));
        let mut all = Registries::default();
        assert!(all.add("[registries.search]\nregistries = []\n", "f").is_err());
        assert!(all.add("x = ", "f").is_err());
    }
}

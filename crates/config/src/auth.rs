//! Credentials for registries (containers-auth.json(5)): `auth.json`, Docker's `config.json`, helpers.

use crate::ConfigError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::fmt;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Shows it to whoever must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A user and a password, or an identity token when the user is `<token>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub user: String,
    /// Password or token.
    pub password: Secret,
}

/// Files in the order they are looked at; the first is the one that is written.
pub fn files(given: Option<&Path>) -> Vec<PathBuf> {
    if let Some(path) = given.map(Path::to_owned).or_else(|| std::env::var_os("REGISTRY_AUTH_FILE").map(PathBuf::from)) {
        return vec![path];
    }
    let mut files = Vec::new();
    if let Some(dir) = std::env::var_os("XDG_RUNTIME_DIR") {
        files.push(PathBuf::from(dir).join("containers/auth.json"));
    } else if crate::registries::rustix_uid_is_root() {
        files.push("/run/containers/0/auth.json".into());
    }
    if let Some(home) = std::env::var_os("HOME").map(PathBuf::from) {
        files.push(home.join(".config/containers/auth.json"));
        files.push(home.join(".docker/config.json"));
    }
    files
}

/// Finds credentials for a repository, `host/path`: the longest key that fits wins.
pub fn find(repository: &str, files: &[PathBuf]) -> Result<Option<Credentials>, ConfigError> {
    for path in files {
        let Some(document) = read(path)? else { continue };
        if let Some(found) = find_in(&document, repository)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn find_in(document: &Map<String, Value>, repository: &str) -> Result<Option<Credentials>, ConfigError> {
    let host = repository.split('/').next().unwrap_or(repository);
    let helper =
        document.get("credHelpers").and_then(|helpers| helpers.get(host)).or_else(|| document.get("credsStore")).and_then(Value::as_str);
    if let Some(helper) = helper
        && let Some(found) = ask_helper(helper, host)?
    {
        return Ok(Some(found));
    }
    let Some(auths) = document.get("auths").and_then(Value::as_object) else { return Ok(None) };
    let mut key = repository;
    loop {
        // Docker writes its own registry under an old address.
        let names = if key == "docker.io" { vec!["docker.io", "https://index.docker.io/v1/", "index.docker.io"] } else { vec![key] };
        if let Some(entry) = names.iter().find_map(|name| auths.get(*name)) {
            return Ok(decode(entry));
        }
        match key.rfind('/') {
            Some(slash) => key = &key[..slash],
            None => return Ok(None),
        }
    }
}

fn decode(entry: &Value) -> Option<Credentials> {
    if let Some(token) = entry.get("identitytoken").and_then(Value::as_str).filter(|token| !token.is_empty()) {
        return Some(Credentials { user: "<token>".to_owned(), password: Secret::new(token) });
    }
    let auth = STANDARD.decode(entry.get("auth")?.as_str()?).ok()?;
    let text = String::from_utf8(auth).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials { user: user.to_owned(), password: Secret::new(password.trim_end_matches('\0')) })
}

/// Speaks with `docker-credential-NAME get`.
fn ask_helper(helper: &str, host: &str) -> Result<Option<Credentials>, ConfigError> {
    let fail = |said: String| ConfigError::Helper { helper: helper.to_owned(), said };
    if helper.contains('/') {
        return Err(fail("its name must not be a path".to_owned()));
    }
    let mut child = std::process::Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .map_err(|e| fail(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(host.as_bytes());
    }
    let output = child.wait_with_output().map_err(|e| fail(e.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        return if said.contains("not found") { Ok(None) } else { Err(fail(said)) };
    }
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(|e| fail(e.to_string()))?;
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(text("Username").zip(text("Secret")).map(|(user, secret)| Credentials { user, password: Secret::new(secret) }))
}

/// Writes credentials for a registry, or takes them away; everything else in the file stays.
pub fn store(path: &Path, registry: &str, credentials: Option<&Credentials>) -> Result<bool, ConfigError> {
    let io = |source| ConfigError::Io { path: path.to_string_lossy().into_owned(), source };
    let mut document = read(path)?.unwrap_or_default();
    let auths = document.entry("auths").or_insert_with(|| Value::Object(Map::new()));
    let Some(auths) = auths.as_object_mut() else {
        return Err(ConfigError::Syntax { path: path.to_string_lossy().into_owned(), problem: "\"auths\" is no object".to_owned() });
    };
    let had = auths.contains_key(registry);
    match credentials {
        Some(credentials) => {
            let auth = STANDARD.encode(format!("{}:{}", credentials.user, credentials.password.reveal()));
            auths.insert(registry.to_owned(), serde_json::json!({ "auth": auth }));
        }
        None => drop(auths.remove(registry)),
    }
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(io)?;
    }
    let temporary = path.with_extension(format!("new{}", std::process::id()));
    let text = serde_json::to_vec_pretty(&document).unwrap_or_default();
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(io)?;
    file.write_all(&text).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&temporary, path)).map_err(io)?;
    Ok(had)
}

/// Reads a file; one that is broken is an error, never an empty one (docker CVE-2021-41092).
fn read(path: &Path) -> Result<Option<Map<String, Value>>, ConfigError> {
    let io = |source| ConfigError::Io { path: path.to_string_lossy().into_owned(), source };
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > 4 << 20 => return Err(io(std::io::Error::other("it is larger than any such file"))),
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io(e)),
    }
    let text = std::fs::read(path).map_err(io)?;
    match serde_json::from_slice(&text) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(_) => Err(ConfigError::Syntax { path: path.to_string_lossy().into_owned(), problem: "it is no JSON object".to_owned() }),
        Err(e) => Err(ConfigError::Syntax { path: path.to_string_lossy().into_owned(), problem: e.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_key_wins_and_nothing_is_lost() {
        let dir = std::env::temp_dir().join(format!("auth-{}", std::process::id()));
        let path = dir.join("auth.json");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(&path, r#"{"other": 1, "auths": {"r.io/a": {"auth": "dTpw"}}}"#).unwrap();
        let files = [path.clone()];
        assert_eq!(find("r.io/a/b", &files).unwrap().unwrap().user, "u");
        assert!(find("r.io/b", &files).unwrap().is_none());
        store(&path, "r.io", Some(&Credentials { user: "x".into(), password: Secret::new("y:z") })).unwrap();
        let found = find("r.io/b", &files).unwrap().unwrap();
        assert_eq!((found.user.as_str(), found.password.reveal()), ("x", "y:z"));
        assert!(!format!("{found:?}").contains("y:z"));
        assert!(std::fs::read_to_string(&path).unwrap().contains("other"));
        assert!(store(&path, "r.io", None).unwrap());
        std::fs::write(&path, "{").unwrap();
        assert!(find("r.io/a", &files).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

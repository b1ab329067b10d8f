//! Image references (distribution's reference grammar), parsed by hand: compiling the usual regular
//! expression costs 45 ms, more than starting a container.

use crate::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A name of an image at a registry: `host[:port]/path[:tag][@digest]`, or the same without the host.
///
/// A reference without a host is a *short name*; `registries.conf` says where it may be found.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    registry: Option<String>,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a string is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid reference format: {text:?}: {problem}")]
pub struct ReferenceError {
    /// What was given, cut at 300 characters.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Reference {
    /// Parses a reference; adds nothing that was not written.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        parse(text).map_err(|problem| ReferenceError { text: text.chars().take(300).collect(), problem })
    }

    /// The registry host, with its port; `None` for a short name.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// The path at the registry, such as `library/nginx`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if one was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Tells whether the registry is missing.
    pub fn is_short(&self) -> bool {
        self.registry.is_none()
    }

    /// Returns the same reference at the given registry; `docker.io` gets its `library/`.
    pub fn at_registry(&self, registry: &str) -> Self {
        let mut full = Self { registry: Some(registry.to_owned()), ..self.clone() };
        full.canonicalise();
        full
    }

    /// Returns the same reference with `latest` where neither tag nor digest was written.
    pub fn with_default_tag(&self) -> Self {
        let mut full = self.clone();
        if full.tag.is_none() && full.digest.is_none() {
            full.tag = Some("latest".to_owned());
        }
        full
    }

    /// Returns the same repository with another tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError { text: tag.chars().take(300).collect(), problem: "not a tag" });
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// Returns the same repository pinned to a digest, without a tag.
    pub fn with_digest(&self, digest: &Digest) -> Self {
        Self { tag: None, digest: Some(digest.clone()), ..self.clone() }
    }

    /// Returns `registry/repository`, without tag and digest.
    pub fn name(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.repository),
            None => self.repository.clone(),
        }
    }

    /// `docker.io/nginx` means `docker.io/library/nginx`, and `index.docker.io` is `docker.io`.
    fn canonicalise(&mut self) {
        if self.registry.as_deref() == Some("index.docker.io") {
            self.registry = Some("docker.io".to_owned());
        }
        if self.registry.as_deref() == Some("docker.io") && !self.repository.contains('/') {
            self.repository = format!("library/{}", self.repository);
        }
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > 1024 {
        return Err("it is too long");
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(Digest::parse(digest).map_err(|_| "the digest is not valid")?)),
        None => (text, None),
    };
    let (name, tag) = match rest.rfind(':') {
        Some(colon) if !rest[colon..].contains('/') => (&rest[..colon], Some(&rest[colon + 1..])),
        _ => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err("the tag is not valid");
    }
    let (registry, repository) = match name.split_once('/') {
        Some((first, path)) if first.contains(['.', ':', '[']) || first == "localhost" || first.chars().any(|c| c.is_ascii_uppercase()) => {
            if !is_host(first) {
                return Err("the registry is not a host name");
            }
            (Some(first.to_owned()), path)
        }
        _ => (None, name),
    };
    if repository.len() > 255 {
        return Err("the repository name is longer than 255 characters");
    }
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("the repository name must be lower case");
    }
    if repository.split('/').any(|part| !is_path_component(part)) {
        return Err("the repository name is not valid");
    }
    // A name of 64 hexadecimal digits could be read as an image id.
    if registry.is_none() && repository.len() == 64 && repository.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("a repository name must not look like an image id");
    }
    let mut reference = Reference { registry, repository: repository.to_owned(), tag: tag.map(str::to_owned), digest };
    reference.canonicalise();
    Ok(reference)
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = tag.as_bytes();
    (1..=128).contains(&bytes.len()) && word(bytes[0]) && bytes.iter().all(|&b| word(b) || b == b'.' || b == b'-')
}

fn is_path_component(part: &str) -> bool {
    // alphanumerics, joined by one of: "." "_" "__" or any number of "-"
    let bytes = part.as_bytes();
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if bytes.is_empty() || !alnum(bytes[0]) || !alnum(bytes[bytes.len() - 1]) {
        return false;
    }
    let mut at = 0;
    while at < bytes.len() {
        if alnum(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && !alnum(bytes[at]) {
            at += 1;
        }
        let separator = &part[start..at];
        if !(separator == "." || separator == "_" || separator == "__" || separator.bytes().all(|b| b == b'-')) {
            return false;
        }
    }
    true
}

fn is_host(host: &str) -> bool {
    let (name, port) = if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return false;
        }
        return match port.strip_prefix(':') {
            Some(port) => port.parse::<u16>().is_ok(),
            None => port.is_empty(),
        };
    } else {
        match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        }
    };
    port.is_none_or(|port| port.parse::<u16>().is_ok() && port.bytes().all(|b| b.is_ascii_digit()))
        && name.split('.').all(|label| {
            let bytes = label.as_bytes();
            !bytes.is_empty()
                && bytes[0].is_ascii_alphanumeric()
                && bytes[bytes.len() - 1].is_ascii_alphanumeric()
                && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        })
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Reference {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;
    fn try_from(text: String) -> Result<Self, ReferenceError> {
        Self::parse(&text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, registry: Option<&str>, repository: &str, tag: Option<&str>) {
        let parsed = Reference::parse(text).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((parsed.registry(), parsed.repository(), parsed.tag()), (registry, repository, tag), "{text}");
    }

    #[test]
    fn references_split_where_the_grammar_says() {
        check("nginx", None, "nginx", None);
        check("nginx:1.25", None, "nginx", Some("1.25"));
        check("prom/prometheus", None, "prom/prometheus", None);
        check("docker.io/nginx", Some("docker.io"), "library/nginx", None);
        check("index.docker.io/a/b:c", Some("docker.io"), "a/b", Some("c"));
        check("localhost/a", Some("localhost"), "a", None);
        check("localhost:5000/a:b", Some("localhost:5000"), "a", Some("b"));
        check("127.0.0.1:5000/library/alpine", Some("127.0.0.1:5000"), "library/alpine", None);
        check("[::1]:5000/a", Some("[::1]:5000"), "a", None);
        check("quay.io/x/y__z/a--b.c", Some("quay.io"), "x/y__z/a--b.c", None);
        let digest = format!("sha256:{}", "ab".repeat(32));
        let pinned = Reference::parse(&format!("quay.io/x:t@{digest}")).unwrap();
        assert_eq!(pinned.digest().unwrap().to_string(), digest);
        assert_eq!(pinned.to_string(), format!("quay.io/x:t@{digest}"));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for bad in [
            "",
            "a//b",
            "/a",
            "a/",
            "A",
            "a:",
            "a:-x",
            "a b",
            "../x",
            "a/../b",
            "a@sha256:00",
            "a:b:c",
            "ex ample.com/a",
            "-host.com/a",
            "host.com:99999/a",
            "a_",
            "a..b",
            "\u{1b}[31m",
            &"a".repeat(300),
            &"ab".repeat(32),
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad:?}");
        }
    }
}

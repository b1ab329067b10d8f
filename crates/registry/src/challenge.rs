//! Who we are, when a registry asks: `WWW-Authenticate`, Basic or Bearer with a token service.

use base64::Engine as _;
use config::{Credentials, Secret};
use std::collections::HashMap;

/// What a registry wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token from somewhere.
    Bearer {
        /// Address of the token service.
        realm: String,
        /// Its name for the registry.
        service: Option<String>,
        /// What the token should be good for.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads a header; `None` when it is no kind of ours.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (kind, parameters) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if kind.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !kind.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parse_parameters(parameters);
        let realm = parameters.remove("realm")?;
        Some(Self::Bearer { realm, service: parameters.remove("service"), scope: parameters.remove("scope") })
    }
}

/// `service=…&scope=…`, with what else belongs to the request.
pub(crate) fn query(pairs: &[(&str, Option<&str>)]) -> String {
    let given = pairs.iter().filter_map(|(key, value)| Some((key, (*value)?))).filter(|(_, value)| !value.is_empty());
    given.map(|(key, value)| format!("{key}={}", escape(value))).collect::<Vec<_>>().join("&")
}

/// The header for user and password.
pub(crate) fn basic(credentials: &Credentials) -> Secret {
    let text = format!("{}:{}", credentials.user, credentials.password.reveal());
    Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text)))
}

/// `key="value",key=value`
fn parse_parameters(text: &str) -> HashMap<String, String> {
    let mut parameters = HashMap::new();
    let mut rest = text.trim();
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim().trim_start_matches(',').trim().to_ascii_lowercase();
        let (value, tail) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        parameters.insert(key, value.trim().to_owned());
        rest = tail.trim_start_matches(',').trim();
    }
    parameters
}

pub(crate) fn escape(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() || b"-._~:/,".contains(&b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let text = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push",error=x"#;
        let Some(Challenge::Bearer { realm, service, scope }) = Challenge::parse(text) else { panic!() };
        assert_eq!(realm, "https://auth.docker.io/token");
        assert_eq!(service.as_deref(), Some("registry.docker.io"));
        assert_eq!(scope.as_deref(), Some("repository:a/b:pull,push"));
        assert_eq!(Challenge::parse("basic realm=x"), Some(Challenge::Basic));
        for none in ["", "Negotiate", "Bearer", "Bearer service=x", "Bearer realm", "=\"", "Digest realm=\"a\""] {
            assert_eq!(Challenge::parse(none), None, "{none}");
        }
    }

    #[test]
    fn queries_cannot_be_broken_out_of() {
        assert_eq!(query(&[("service", Some("a b&c=d")), ("scope", Some("")), ("x", None), ("y", Some("é#"))]), "service=a%20b%26c%3Dd&y=%C3%A9%23");
    }
}

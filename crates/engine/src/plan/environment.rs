//! The environment of the program. Entries of an image are foreign input: only `KEY=value` counts, and a
//! value of the host never gets in by an image's wish (podman CVE-2026-57231).

use super::Facts;
use crate::container::ContainerRecord;

/// Where programs are found when nobody says.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Plans the environment, in the order: ours, the image's, the host's if asked for, the user's.
pub fn plan(record: &ContainerRecord, facts: &Facts) -> Vec<String> {
    let process = &record.spec.process;
    let mut env = Environment::default();
    env.set("PATH", DEFAULT_PATH);
    env.set("container", "podman");
    if process.terminal {
        env.set("TERM", "xterm");
    }
    if process.http_proxy != Some(false) {
        for (key, value) in &facts.proxies {
            env.set(key, value);
        }
    }
    let image_env = record.image.as_ref().map(|image| image.config.env.as_slice()).unwrap_or_default();
    for (key, value) in image_env.iter().filter_map(|entry| split_entry(entry)) {
        env.set(key, value);
    }
    if process.unset_env_all {
        env = Environment::default();
    }
    for key in &process.unset_env {
        env.unset(key);
    }
    for (key, value) in &process.host_env {
        env.set(key, value);
    }
    for (key, value) in &process.env_merge {
        let merged = env.expand(value);
        env.set(key, &merged);
    }
    for (key, value) in &process.env {
        env.set(key, value);
    }
    if !process.unset_env_all {
        env.set_default("HOSTNAME", &facts.hostname);
        env.set_default("HOME", if facts.user.home.is_empty() { "/" } else { &facts.user.home });
    }
    env.0.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
}

/// Splits an image's entry; what is no `KEY=value` of printable key is dropped.
pub fn split_entry(entry: &str) -> Option<(&str, &str)> {
    let (key, value) = entry.split_once('=')?;
    let good = !key.is_empty() && !key.contains(['\0', '*']) && !value.contains('\0');
    good.then_some((key, value))
}

#[derive(Default)]
struct Environment(Vec<(String, String)>);

impl Environment {
    fn set(&mut self, key: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some(entry) => entry.1 = value.to_owned(),
            None => self.0.push((key.to_owned(), value.to_owned())),
        }
    }

    fn set_default(&mut self, key: &str, value: &str) {
        if !value.is_empty() && !self.0.iter().any(|(known, _)| known == key) {
            self.0.push((key.to_owned(), value.to_owned()));
        }
    }

    fn unset(&mut self, key: &str) {
        self.0.retain(|(known, _)| known != key);
    }

    /// Replaces `${NAME}` and `$NAME` by values known so far.
    fn expand(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            let (name, after) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some(braced) => braced,
                None => {
                    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                    rest.split_at(end)
                }
            };
            match self.0.iter().find(|(known, _)| known == name) {
                Some((_, value)) => out.push_str(value),
                None if name.is_empty() => out.push('$'),
                None => {}
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

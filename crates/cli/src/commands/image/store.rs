//! `tag`, `untag`, `login`, `logout`

use super::Command;
use crate::args::{Kind, flag, refused};
use crate::failure::Failure;
use config::{Credentials, Secret};
use engine::image::{find, pull};
use oci::Reference;
use std::io::{BufRead, Read, Write};

pub(super) const TAG: Command = Command {
    paths: &["tag", "image tag"],
    about: "Give an image another name",
    description: "Gives an image more names; a name another image has moves.",
    usage: "IMAGE NAME [NAME...]",
    examples: &["tag nginx localhost/web:1"],
    flags: &[],
    options_first: false,
    arguments: (2, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        let image = find::find(&engine, &parsed.positionals[0])?;
        for name in &parsed.positionals[1..] {
            let name = full_name(name)?;
            engine.store().tag_image(&image.id, &name).map_err(|e| Failure::usage(e.to_string()))?;
        }
        Ok(0)
    },
};

/// A name without a registry is one of this machine.
fn full_name(text: &str) -> Result<Reference, Failure> {
    let name = Reference::parse(text).map_err(|e| Failure::usage(e.to_string()))?;
    if name.digest().is_some() {
        return Err(Failure::usage(format!("tag by digest not supported: {text:?}")));
    }
    Ok(if name.is_short() { name.at_registry("localhost") } else { name }.with_default_tag())
}

pub(super) const UNTAG: Command = Command {
    paths: &["untag", "image untag"],
    about: "Take names from an image",
    description: "Takes names from an image; without names, all of them. The image stays.",
    usage: "IMAGE [NAME...]",
    examples: &["untag nginx", "untag nginx localhost/web:1"],
    flags: &[],
    options_first: false,
    arguments: (1, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        let image = find::find(&engine, &parsed.positionals[0])?;
        let names = if parsed.positionals.len() == 1 {
            image.names.clone()
        } else {
            parsed.positionals[1..].iter().map(|name| full_name(name)).collect::<Result<_, _>>()?
        };
        if let Some(unknown) = names.iter().find(|name| !image.names.contains(name)) {
            return Err(Failure::usage(format!("{unknown}: tag not known")));
        }
        engine.store().untag_image(&image.id, &names).map_err(|e| Failure::usage(e.to_string()))?;
        Ok(0)
    },
};

pub(super) const LOGIN: Command = Command {
    paths: &["login"],
    about: "Log in to a registry",
    description: "Checks credentials at a registry and keeps them.",
    usage: "[options] REGISTRY",
    examples: &["login -u me quay.io", "login --password-stdin -u me registry.example.com < file"],
    flags: &[&[
        flag("authfile", ' ', Kind::Value, "FILE", "File with credentials"),
        flag("get-login", ' ', Kind::Switch, "", "Show who is logged in"),
        flag("password", 'p', Kind::Value, "PASSWORD", "Password; others can see it while this runs"),
        flag("password-stdin", ' ', Kind::Switch, "", "Read the password from standard input"),
        flag("tls-verify", ' ', Kind::Switch, "", "Verify the certificate of the registry (default true)"),
        flag("username", 'u', Kind::Value, "USER", "User"),
        flag("verbose", 'v', Kind::Switch, "", "Say where the credentials are kept"),
        refused("cert-dir", ' ', true),
        refused("compat-auth-file", ' ', true),
        refused("secret", ' ', true),
    ]],
    options_first: false,
    arguments: (0, Some(1)),
    run: |_, parsed| {
        let host = registry_of(parsed.positionals.first())?;
        let files = config::auth::files(parsed.value("authfile").map(std::path::Path::new));
        let failed = |e: config::ConfigError| Failure::usage(e.to_string());
        if parsed.on("get-login") {
            return match config::auth::find(&host, &files).map_err(failed)? {
                Some(known) => {
                    println!("{}", known.user);
                    Ok(0)
                }
                None => Err(Failure::usage(format!("not logged into {host}"))),
            };
        }
        let user = match parsed.value("username") {
            Some(user) => user.to_owned(),
            None => ask("Username: ", true)?,
        };
        let password = match (parsed.value("password"), parsed.on("password-stdin")) {
            (Some(password), _) => password.to_owned(),
            (None, true) => {
                let mut text = String::new();
                std::io::stdin().lock().take(64 << 10).read_to_string(&mut text).map_err(|e| Failure::usage(e.to_string()))?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
            (None, false) => ask("Password: ", false)?,
        };
        let credentials = Credentials { user, password: Secret::new(password) };
        pull::check_login(&host, credentials.clone(), parsed.given("tls-verify"))?;
        let file = files.first().ok_or_else(|| Failure::usage("there is no place to keep credentials: HOME is not set"))?;
        config::auth::store(file, &host, Some(&credentials)).map_err(failed)?;
        println!("Login Succeeded!");
        Ok(0)
    },
};

pub(super) const LOGOUT: Command = Command {
    paths: &["logout"],
    about: "Log out of a registry",
    description: "Forgets the credentials for a registry.",
    usage: "[options] REGISTRY",
    examples: &["logout quay.io"],
    flags: &[&[
        flag("authfile", ' ', Kind::Value, "FILE", "File with credentials"),
        refused("all", 'a', false),
        refused("compat-auth-file", ' ', true),
    ]],
    options_first: false,
    arguments: (0, Some(1)),
    run: |_, parsed| {
        let host = registry_of(parsed.positionals.first())?;
        let files = config::auth::files(parsed.value("authfile").map(std::path::Path::new));
        let mut removed = false;
        for file in files.iter().filter(|file| file.exists()) {
            removed |= config::auth::store(file, &host, None).map_err(|e| Failure::usage(e.to_string()))?;
        }
        if !removed {
            return Err(Failure::usage(format!("not logged into {host}")));
        }
        println!("Removed login credentials for {host}");
        Ok(0)
    },
};

fn registry_of(typed: Option<&String>) -> Result<String, Failure> {
    let host = typed.map_or("docker.io", String::as_str).trim_start_matches("https://").trim_end_matches('/');
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Failure::usage(format!("{host:?} is no registry")));
    }
    Ok(host.to_owned())
}

/// Asks on the terminal; a password is not shown as it is typed.
fn ask(question: &str, shown: bool) -> Result<String, Failure> {
    eprint!("{question}");
    let _ = std::io::stderr().flush();
    let terminal = rustix::stdio::stdin();
    let before = if shown { None } else { rustix::termios::tcgetattr(terminal).ok() };
    if let Some(before) = &before {
        let mut silent = before.clone();
        silent.local_modes.remove(rustix::termios::LocalModes::ECHO);
        let _ = rustix::termios::tcsetattr(terminal, rustix::termios::OptionalActions::Now, &silent);
    }
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if let Some(before) = &before {
        let _ = rustix::termios::tcsetattr(terminal, rustix::termios::OptionalActions::Now, before);
        eprintln!();
    }
    read.map_err(|e| Failure::usage(e.to_string()))?;
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}

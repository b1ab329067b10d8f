//! Getting an image for a container, or for itself.

use crate::args::Parsed;
use crate::failure::Failure;
use crate::progress::Progress;
use config::{Credentials, Secret};
use engine::Engine;
use engine::container::record::ImageUse;
use engine::image::pull::{self, Policy, PullOptions, Watcher};
use engine::image::{builtin, find, to_use};
use oci::image::Platform;
use std::time::Duration;

/// Finds the image of a container, and pulls it when the policy says so.
pub(crate) fn for_container(engine: &Engine, typed: &str, parsed: &Parsed) -> Result<ImageUse, Failure> {
    let policy = policy(parsed.value("pull"))?;
    let quiet = parsed.on("quiet");
    let here = engine.store().find_image(typed).map_err(|e| Failure::usage(e.to_string()))?;
    if let (Some(image), Policy::Missing | Policy::Never) = (&here, policy) {
        let wanted = platform(parsed)?;
        if parsed.value("platform").is_none() && parsed.value("arch").is_none() || image.architecture == wanted.architecture {
            return Ok(to_use(engine, image, typed)?);
        }
    }
    if here.is_none() && builtin::is_meant(typed) {
        let image = builtin::install(engine)?;
        return Ok(to_use(engine, &image, typed)?);
    }
    if policy == Policy::Never {
        find::find(engine, typed)?;
    }
    let image = pull::pull(engine, typed, &options(parsed)?, &Teller(Progress::new(quiet)))?;
    Ok(to_use(engine, &image, typed)?)
}

/// Reads a pull policy.
pub(crate) fn policy(text: Option<&str>) -> Result<Policy, Failure> {
    Ok(match text {
        None | Some("missing" | "ifmissing" | "ifnotpresent") => Policy::Missing,
        Some("always" | "true") => Policy::Always,
        Some("never" | "false") => Policy::Never,
        Some("newer" | "ifnewer") => Policy::Newer,
        Some(other) => return Err(Failure::usage(format!("invalid pull policy {other:?}: it is always, missing, never or newer"))),
    })
}

/// Reads the flags of a pull.
pub(crate) fn options(parsed: &Parsed) -> Result<PullOptions, Failure> {
    Ok(PullOptions {
        platform: platform(parsed)?,
        tls_verify: parsed.given("tls-verify"),
        credentials: parsed.value("creds").map(credentials).transpose()?,
        authfile: parsed.value("authfile").map(Into::into),
        retries: parsed.number("retry")?.unwrap_or(3),
        retry_delay: parsed
            .value("retry-delay")
            .map(|text| spec::quantity::parse_duration("retry delay", text))
            .transpose()?
            .map(Duration::from_nanos),
    })
}

fn credentials(text: &str) -> Result<Credentials, Failure> {
    let (user, password) = text.split_once(':').ok_or_else(|| Failure::usage("invalid --creds: it is written USER:PASSWORD"))?;
    Ok(Credentials { user: user.to_owned(), password: Secret::new(password) })
}

/// The platform asked for; this machine's by default.
pub(crate) fn platform(parsed: &Parsed) -> Result<Platform, Failure> {
    let mut platform = Platform { architecture: builtin::architecture().to_owned(), os: "linux".to_owned(), ..Default::default() };
    if let Some(text) = parsed.value("platform") {
        let mut parts = text.split('/');
        platform.os = parts.next().unwrap_or_default().to_owned();
        platform.architecture =
            parts.next().ok_or_else(|| Failure::usage(format!("invalid platform {text:?}: it is written OS/ARCH[/VARIANT]")))?.to_owned();
        platform.variant = parts.next().map(str::to_owned);
    }
    if let Some(arch) = parsed.value("arch") {
        arch.clone_into(&mut platform.architecture);
    }
    if let Some(os) = parsed.value("os") {
        os.clone_into(&mut platform.os);
    }
    if let Some(variant) = parsed.value("variant") {
        platform.variant = Some(variant.to_owned());
    }
    Ok(platform)
}

/// Shows what the engine tells.
pub(crate) struct Teller(pub(crate) Progress);

impl Watcher for Teller {
    fn say(&self, text: &str) {
        self.0.say(text);
    }

    fn bytes(&self, done: u64, total: u64) {
        self.0.bytes(done, total);
    }
}

//! Registries over HTTP (distribution-spec), synchronous: one thread a layer needs no runtime.
//!
//! Credentials go to the host they are for and to the token service it names, never along a redirect to another
//! host and never over plain HTTP, unless the registry was configured as insecure.

use crate::{DOCUMENT_LIMIT, Document, PullError, Source};
use base64::Engine as _;
use config::{Credentials, Secret};
use oci::image::{Descriptor, media_type};
use oci::{Digest, Reference};
use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// How a registry is spoken to.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// Certificates are not verified, and plain HTTP is tried.
    pub insecure: bool,
    /// Who we are.
    pub credentials: Option<Credentials>,
    /// More tries after the first.
    pub retries: u32,
    /// Time before the first of them; it doubles.
    pub retry_delay: Option<Duration>,
}

const MOST_REDIRECTS: u32 = 10;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// An image at a registry.
pub struct Registry {
    inner: Arc<Client>,
    reference: Reference,
}

struct Client {
    agent: Agent,
    host: String,
    options: ClientOptions,
    /// `https` or `http`, once it is known.
    scheme: Mutex<Option<&'static str>>,
    /// `Authorization` by scope.
    tokens: Mutex<HashMap<String, Secret>>,
}

impl Registry {
    /// Speaks with the registry of a full reference. Nothing is sent yet.
    pub fn new(reference: &Reference, options: ClientOptions) -> Self {
        let host = match reference.registry() {
            Some("docker.io") | None => "registry-1.docker.io".to_owned(),
            Some(host) => host.to_owned(),
        };
        let tls = TlsConfig::builder().root_certs(roots()).disable_verification(options.insecure).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .user_agent(concat!("coracle/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let client = Client { agent, host, options, scheme: Mutex::new(None), tokens: Mutex::new(HashMap::new()) };
        Self { inner: Arc::new(client), reference: reference.clone() }
    }

    /// Tells whether the registry lets us in.
    pub fn check(&self) -> Result<(), PullError> {
        let response = self.inner.get("/v2/", None, "")?;
        match response.status().as_u16() {
            200..300 => Ok(()),
            401 | 403 => Err(PullError::Unauthorized { registry: self.inner.host.clone(), what: "the catalogue".to_owned() }),
            status => Err(PullError::Status { registry: self.inner.host.clone(), what: "the catalogue".to_owned(), status }),
        }
    }

    /// Lists the tags of the repository.
    pub fn tags(&self) -> Result<Vec<String>, PullError> {
        #[derive(serde::Deserialize)]
        struct Tags {
            tags: Option<Vec<String>>,
        }
        let what = format!("tags of {}", self.reference.name());
        let path = format!("/v2/{}/tags/list?n=10000", self.reference.repository());
        let response = self.inner.expect(&path, None, &self.scope(), &what)?;
        let bytes = crate::read_limited(response.into_body().into_reader(), &what)?;
        let tags: Tags = serde_json::from_slice(&bytes).map_err(|e| PullError::invalid(what, e.to_string()))?;
        Ok(tags.tags.unwrap_or_default())
    }

    fn scope(&self) -> String {
        format!("repository:{}:pull", self.reference.repository())
    }
}

impl Source for Registry {
    fn manifest(&self, digest: Option<&Digest>) -> Result<Document, PullError> {
        let wanted = match digest.or(self.reference.digest()) {
            Some(digest) => digest.to_string(),
            None => self.reference.tag().unwrap_or("latest").to_owned(),
        };
        let what = format!("manifest {wanted} in {}", self.reference.name());
        let path = format!("/v2/{}/manifests/{wanted}", self.reference.repository());
        let accept = [media_type::OCI_INDEX, media_type::OCI_MANIFEST, media_type::DOCKER_LIST, media_type::DOCKER_MANIFEST].join(", ");
        let response = self.inner.expect(&path, Some(&accept), &self.scope(), &what)?;
        let media = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim().to_owned();
        let document = Document::new(crate::read_limited(response.into_body().into_reader(), &what)?, media);
        if let Some(expected) = digest.or(self.reference.digest())
            && document.digest != *expected
        {
            return Err(PullError::invalid(what, format!("it has digest {}", document.digest)));
        }
        Ok(document)
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, PullError> {
        let path = format!("/v2/{}/blobs/{}", self.reference.repository(), descriptor.digest);
        let what = format!("blob {}", descriptor.digest);
        let response = self.inner.expect(&path, None, &self.scope(), &what)?;
        Ok(Box::new(Resuming {
            client: Arc::clone(&self.inner),
            scope: self.scope(),
            path,
            what,
            size: descriptor.size,
            at: 0,
            tries_left: self.inner.options.retries,
            reader: Box::new(response.into_body().into_reader()),
        }))
    }

    fn name(&self) -> String {
        self.reference.to_string()
    }
}

/// A blob whose connection may break: it goes on where it stopped.
struct Resuming {
    client: Arc<Client>,
    scope: String,
    path: String,
    what: String,
    size: u64,
    at: u64,
    tries_left: u32,
    reader: Box<dyn Read + Send>,
}

impl Read for Resuming {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let broken = match self.reader.read(buffer) {
                Ok(0) if self.at < self.size && !buffer.is_empty() => std::io::Error::from(std::io::ErrorKind::UnexpectedEof),
                Ok(got) => {
                    self.at += got as u64;
                    return Ok(got);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => e,
            };
            if self.tries_left == 0 {
                return Err(std::io::Error::new(
                    broken.kind(),
                    format!("{} of {}: the connection broke at byte {}", self.what, self.client.host, self.at),
                ));
            }
            self.tries_left -= 1;
            self.reopen().map_err(|e| std::io::Error::other(e.to_string()))?;
        }
    }
}

impl Resuming {
    fn reopen(&mut self) -> Result<(), PullError> {
        let range = format!("bytes={}-", self.at);
        let response = self.client.request(&self.path, None, Some(&range), &self.scope)?;
        match response.status().as_u16() {
            206 => self.reader = Box::new(response.into_body().into_reader()),
            // It does not know ranges: what we have is read again and passed over.
            200 => {
                let mut reader = response.into_body().into_reader();
                let skipped = std::io::copy(&mut Read::by_ref(&mut reader).take(self.at), &mut std::io::sink());
                skipped.map_err(|e| PullError::Unreachable { registry: self.client.host.clone(), why: e.to_string() })?;
                self.reader = Box::new(reader);
            }
            status => return Err(PullError::Status { registry: self.client.host.clone(), what: self.what.clone(), status }),
        }
        Ok(())
    }
}

type Answer = Response<ureq::Body>;

impl Client {
    /// Asks, and makes an error of every answer that is none.
    fn expect(&self, path: &str, accept: Option<&str>, scope: &str, what: &str) -> Result<Answer, PullError> {
        let response = self.get(path, accept, scope)?;
        let registry = self.host.clone();
        let what = what.to_owned();
        match response.status().as_u16() {
            200..300 => Ok(response),
            401 | 403 => Err(PullError::Unauthorized { registry, what }),
            404 => Err(PullError::NotFound { registry, what }),
            status => Err(PullError::Status { registry, what, status }),
        }
    }

    /// Asks again while the registry is busy or out of reach, with growing pauses.
    fn get(&self, path: &str, accept: Option<&str>, scope: &str) -> Result<Answer, PullError> {
        let mut pause = self.options.retry_delay.unwrap_or(Duration::from_millis(500));
        let mut left = self.options.retries;
        loop {
            let result = self.request(path, accept, None, scope);
            let wait = match &result {
                Ok(response) if matches!(response.status().as_u16(), 429 | 500 | 502 | 503 | 504) => {
                    let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
                    asked.map_or(pause, Duration::from_secs).min(LONGEST_WAIT)
                }
                Err(PullError::Unreachable { .. }) => pause,
                _ => return result,
            };
            if left == 0 {
                return result;
            }
            left -= 1;
            std::thread::sleep(jitter(wait));
            pause = (pause * 2).min(LONGEST_WAIT);
        }
    }

    /// Asks once; when asked back who we are, answers and asks again.
    fn request(&self, path: &str, accept: Option<&str>, range: Option<&str>, scope: &str) -> Result<Answer, PullError> {
        let known = self.tokens.lock().ok().and_then(|tokens| tokens.get(scope).cloned());
        let response = self.send(path, accept, range, known.as_ref())?;
        if response.status().as_u16() != 401 {
            return Ok(response);
        }
        let Some(authorization) = self.answer_challenge(&response, scope)? else { return Ok(response) };
        if let Ok(mut tokens) = self.tokens.lock() {
            tokens.insert(scope.to_owned(), authorization.clone());
        }
        self.send(path, accept, range, Some(&authorization))
    }

    fn send(&self, path: &str, accept: Option<&str>, range: Option<&str>, authorization: Option<&Secret>) -> Result<Answer, PullError> {
        let known = self.scheme.lock().ok().and_then(|scheme| *scheme);
        let schemes: &[&'static str] = match (known, self.options.insecure) {
            (Some("https"), _) => &["https"],
            (Some(_), _) => &["http"],
            (None, true) => &["https", "http"],
            (None, false) => &["https"],
        };
        let mut first_error = None;
        for scheme in schemes {
            match self.follow(&format!("{scheme}://{}{path}", self.host), accept, range, authorization) {
                Ok(response) => {
                    if let Ok(mut known) = self.scheme.lock() {
                        *known = Some(scheme);
                    }
                    return Ok(response);
                }
                Err(error) => drop(first_error.get_or_insert(error)),
            }
        }
        Err(first_error
            .unwrap_or_else(|| PullError::Unreachable { registry: self.host.clone(), why: "no way to speak with it".to_owned() }))
    }

    /// Follows redirects; who we are is told to the first host alone (containerd CVE-2020-15157).
    fn follow(&self, url: &str, accept: Option<&str>, range: Option<&str>, authorization: Option<&Secret>) -> Result<Answer, PullError> {
        let mut url = url.to_owned();
        let origin = host_of(&url).to_owned();
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.agent.get(&url);
            if let Some(accept) = accept {
                request = request.header("accept", accept);
            }
            if let Some(range) = range {
                request = request.header("range", range);
            }
            let is_safe = url.starts_with("https:") || self.options.insecure;
            if let Some(authorization) = authorization.filter(|_| host_of(&url) == origin && is_safe) {
                request = request.header("authorization", authorization.reveal());
            }
            let response = request.call().map_err(|e| self.error(e))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let location = response.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
            let next = absolute(&url, location).ok_or_else(|| {
                PullError::invalid(format!("redirect of {}", self.host), format!("{location:?} is no address of a server"))
            })?;
            if url.starts_with("https:") && !next.starts_with("https:") {
                return Err(PullError::invalid(format!("redirect of {}", self.host), "it leads from https to plain http"));
            }
            url = next;
        }
        Err(PullError::invalid(format!("redirect of {}", self.host), format!("more than {MOST_REDIRECTS} in a row")))
    }

    /// `WWW-Authenticate`: Basic, or Bearer with a token service.
    fn answer_challenge(&self, response: &Answer, scope: &str) -> Result<Option<Secret>, PullError> {
        let header = response.headers().get("www-authenticate").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (kind, parameters) = header.split_once(' ').unwrap_or((header, ""));
        let credentials = self.options.credentials.as_ref();
        if kind.eq_ignore_ascii_case("basic") {
            return Ok(credentials.map(basic));
        }
        if !kind.eq_ignore_ascii_case("bearer") {
            return Ok(None);
        }
        let parameters = parse_parameters(parameters);
        let realm = parameters.get("realm").cloned().unwrap_or_default();
        if !realm.starts_with("https://") && !(realm.starts_with("http://") && self.options.insecure) {
            return Err(PullError::invalid(format!("token service of {}", self.host), format!("{realm:?} is not reached by https")));
        }
        let mut url = format!("{realm}{}", if realm.contains('?') { '&' } else { '?' });
        if let Some(service) = parameters.get("service") {
            url.push_str(&format!("service={}&", escape(service)));
        }
        let wanted = parameters.get("scope").map_or(scope, String::as_str);
        if !wanted.is_empty() {
            url.push_str(&format!("scope={}", escape(wanted)));
        }
        let mut request = self.agent.get(&url);
        if let Some(credentials) = credentials {
            request = request.header("authorization", basic(credentials).reveal());
        }
        let answer = request.call().map_err(|e| self.error(e))?;
        if answer.status().as_u16() != 200 {
            return Err(PullError::Unauthorized { registry: self.host.clone(), what: "a token".to_owned() });
        }
        #[derive(serde::Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let mut text = Vec::new();
        answer
            .into_body()
            .into_reader()
            .take(DOCUMENT_LIMIT)
            .read_to_end(&mut text)
            .map_err(|e| PullError::Unreachable { registry: self.host.clone(), why: e.to_string() })?;
        let token: Token =
            serde_json::from_slice(&text).map_err(|e| PullError::invalid(format!("token service of {}", self.host), e.to_string()))?;
        let token = token.token.or(token.access_token).filter(|token| token.bytes().all(|b| b.is_ascii_graphic()));
        Ok(token.map(|token| Secret::new(format!("Bearer {token}"))))
    }

    fn error(&self, error: ureq::Error) -> PullError {
        let registry = self.host.clone();
        let why = error.to_string();
        let lower = why.to_lowercase();
        if lower.contains("certificate") || lower.contains("tls") || lower.contains("rustls") || lower.contains("invalid message") {
            PullError::Tls { registry, why }
        } else {
            PullError::Unreachable { registry, why }
        }
    }
}

fn basic(credentials: &Credentials) -> Secret {
    let text = format!("{}:{}", credentials.user, credentials.password.reveal());
    Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text)))
}

/// `key="value",key=value`
fn parse_parameters(text: &str) -> HashMap<String, String> {
    let mut parameters = HashMap::new();
    let mut rest = text.trim();
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim().trim_start_matches(',').trim().to_ascii_lowercase();
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        parameters.insert(key, value.to_owned());
        rest = tail.trim_start_matches(',').trim();
    }
    parameters
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b"-._~:/,".contains(&b) { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn host_of(url: &str) -> &str {
    url.split("://").nth(1).unwrap_or(url).split('/').next().unwrap_or_default()
}

fn absolute(base: &str, location: &str) -> Option<String> {
    if location.starts_with("https://") || location.starts_with("http://") {
        return Some(location.to_owned());
    }
    let scheme = base.split("://").next()?;
    (location.starts_with('/') && !location.starts_with("//")).then(|| format!("{scheme}://{}{location}", host_of(base)))
}

/// A little more or less, so that many clients do not come back at once.
fn jitter(wait: Duration) -> Duration {
    let noise = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos()) % 1000;
    wait.mul_f64(0.8 + 0.4 * f64::from(noise) / 1000.0)
}

/// The host's certificates.
fn roots() -> RootCerts {
    let given = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let places = given
        .into_iter()
        .chain(["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"].map(Into::into));
    for place in places {
        if let Ok(text) = std::fs::read(&place) {
            let certificates: Vec<Certificate<'static>> = ureq::tls::parse_pem(&text)
                .filter_map(|item| match item {
                    Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if !certificates.is_empty() {
                return RootCerts::Specific(Arc::new(certificates));
            }
        }
    }
    RootCerts::WebPki
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let p = parse_parameters(
            r#"realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push",error=x"#,
        );
        assert_eq!(p["realm"], "https://auth.docker.io/token");
        assert_eq!(p["scope"], "repository:a/b:pull,push");
        assert_eq!(p["error"], "x");
    }

    #[test]
    fn redirects_stay_addresses() {
        assert_eq!(absolute("https://a.b/c", "/d").unwrap(), "https://a.b/d");
        assert_eq!(absolute("https://a.b/c", "https://x/y").unwrap(), "https://x/y");
        assert!(absolute("https://a.b/c", "file:///etc/passwd").is_none() && absolute("https://a/c", "//x").is_none());
    }
}

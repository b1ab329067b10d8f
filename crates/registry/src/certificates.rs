//! Whom we trust, and who we are, in TLS: the host's certificates and `certs.d` (containers-certs.d(5)).

use crate::PullError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

/// Makes the TLS configuration for a host; `dir` stands in for its `certs.d` directories.
pub(crate) fn tls_config(host: &str, dir: Option<&Path>) -> Result<TlsConfig, PullError> {
    let mut roots = host_roots();
    let mut client = None;
    let places = dir.map_or_else(|| places(host), |dir| vec![dir.to_owned()]);
    // As in Podman, the first directory that exists is the one that counts.
    if let Some(dir) = places.into_iter().find(|dir| dir.is_dir()) {
        let (own, identity) = read_dir(&dir)?;
        roots.extend(own);
        client = identity;
    }
    let roots = if roots.is_empty() { RootCerts::WebPki } else { RootCerts::Specific(Arc::new(roots)) };
    Ok(TlsConfig::builder().root_certs(roots).client_cert(client).build())
}

fn places(host: &str) -> Vec<PathBuf> {
    let own = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
    let bases = own.map(|dir| dir.join("containers/certs.d")).into_iter().chain(["/etc/containers/certs.d", "/etc/docker/certs.d"].map(Into::into));
    bases.map(|base| base.join(host)).collect()
}

/// `*.crt` are trusted; the first `*.cert` with its `*.key` is who we are.
fn read_dir(dir: &Path) -> Result<(Vec<Certificate<'static>>, Option<ClientCert>), PullError> {
    let io = |path: &Path| { let path = path.to_owned(); move |source| PullError::Io { path, source } };
    let mut names: Vec<PathBuf> = std::fs::read_dir(dir).map_err(io(dir))?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    names.sort();
    let (mut trusted, mut identity) = (Vec::new(), None);
    for path in &names {
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        if !matches!(end, "crt" | "cert") {
            continue;
        }
        let found = certificates(&std::fs::read(path).map_err(io(path))?);
        if found.is_empty() {
            return Err(PullError::invalid(path.to_string_lossy(), "it has no certificate"));
        }
        if end == "crt" {
            trusted.extend(found);
        } else if identity.is_none() {
            let key = path.with_extension("key");
            let text = std::fs::read(&key).map_err(io(&key))?;
            let key = PrivateKey::from_pem(&text).map_err(|_| PullError::invalid(key.to_string_lossy(), "it is no private key"))?;
            identity = Some(ClientCert::new_with_certs(&found, key));
        }
    }
    Ok((trusted, identity))
}

fn certificates(text: &[u8]) -> Vec<Certificate<'static>> {
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    ureq::tls::parse_pem(text).filter_map(certificate).collect()
}

fn host_roots() -> Vec<Certificate<'static>> {
    let given = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let bundles = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];
    let mut places = given.into_iter().chain(bundles.map(Into::into));
    places.find_map(|place| Some(certificates(&std::fs::read(place).ok()?)).filter(|found| !found.is_empty())).unwrap_or_default()
}

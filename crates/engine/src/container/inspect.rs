//! What a container looks like from outside: the small questions that lists and filters ask.

use super::record::ContainerRecord;
use spec::network::NetworkMode;
use spec::restart::RestartPolicy;
use std::collections::BTreeMap;

/// Podman's word for the network mode.
pub fn network_mode(record: &ContainerRecord) -> String {
    match &record.spec.network.mode {
        NetworkMode::Default => if rustix::process::geteuid().is_root() { "bridge" } else { "pasta" }.to_owned(),
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Host => "host".to_owned(),
        NetworkMode::Pasta(_) => "pasta".to_owned(),
        NetworkMode::Slirp4netns(_) => "slirp4netns".to_owned(),
        NetworkMode::Container(id) => format!("container:{id}"),
        NetworkMode::Path(path) => format!("ns:{path}"),
        NetworkMode::Private => "private".to_owned(),
        NetworkMode::Bridge(networks) => networks.first().map_or_else(|| "bridge".to_owned(), |network| network.name.clone()),
    }
}

/// Program and arguments, without the entry point unless the user gave one.
pub fn command(record: &ContainerRecord) -> Vec<String> {
    let process = &record.spec.process;
    if !process.command.is_empty() {
        return process.command.clone();
    }
    match (&process.entrypoint, &record.image) {
        (Some(entrypoint), _) => entrypoint.clone(),
        (None, Some(image)) if !image.config.cmd.is_empty() => image.config.cmd.clone(),
        (None, Some(image)) => image.config.entrypoint.clone(),
        (None, None) => Vec::new(),
    }
}

/// Labels of the image, overlaid by the user's.
pub fn labels(record: &ContainerRecord) -> BTreeMap<String, String> {
    let mut labels = record.image.as_ref().map(|image| image.config.labels.clone()).unwrap_or_default();
    labels.extend(record.spec.labels.clone());
    labels
}

/// Podman's word for the restart policy.
pub fn restart_policy(record: &ContainerRecord) -> String {
    match record.spec.restart {
        RestartPolicy::No => "no",
        RestartPolicy::OnFailure { .. } => "on-failure",
        RestartPolicy::Always => "always",
        RestartPolicy::UnlessStopped => "unless-stopped",
    }
    .to_owned()
}

//! Published ports: ranges spelled out, exposed ports of the image taken in with `-P`, free host ports found.

use crate::container::record::ImageUse;
use crate::error::{Cure, Error, ErrorKind, Result};
use spec::ContainerSpec;
use spec::network::{NetworkMode, PortSpec, Protocol};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

/// Decides the host port of everything published.
pub fn decide(spec: &ContainerSpec, image: Option<&ImageUse>) -> Result<Vec<PortSpec>> {
    let network = &spec.network;
    let mut wishes = network.ports.clone();
    if network.publish_all {
        let exposed_by_image = image.iter().flat_map(|image| image.config.exposed_ports.keys()).filter_map(|text| exposed(text));
        let exposed_by_user = network.expose.iter().map(|e| (e.port, e.count, e.protocol));
        for (port, count, protocol) in exposed_by_image.chain(exposed_by_user) {
            let published = |p: &PortSpec| {
                p.protocol == protocol && port >= p.container_port && u32::from(port) < u32::from(p.container_port) + u32::from(p.count)
            };
            if !wishes.iter().any(published) {
                wishes.push(PortSpec { host_ip: None, host_port: None, container_port: port, count, protocol });
            }
        }
    }
    if wishes.is_empty() {
        return Ok(wishes);
    }
    match &network.mode {
        NetworkMode::None => {
            return Err(Error::new(ErrorKind::InvalidInput, "ports cannot be published with --network none"));
        }
        NetworkMode::Container(_) => {
            return Err(Error::new(ErrorKind::InvalidInput, "ports cannot be published with --network container: publish them there"));
        }
        // Podman accepts and drops them with the host's network; nothing has to be forwarded there.
        NetworkMode::Host => return Ok(Vec::new()),
        _ => {}
    }
    // Held until all are chosen, so that two wishes do not get the same port.
    let mut held = Vec::new();
    for wish in wishes.iter_mut().filter(|wish| wish.host_port.is_none()) {
        let (port, holder) = free_port(wish)?;
        wish.host_port = Some(port);
        held.push(holder);
    }
    Ok(wishes)
}

/// `80`, `80/udp`, `8000-8010/tcp`.
fn exposed(text: &str) -> Option<(u16, u16, Protocol)> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return None,
    };
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then(|| (first, last - first + 1, protocol))
}

enum Holder {
    Tcp { _socket: TcpListener },
    Udp { _socket: UdpSocket },
}

fn free_port(wish: &PortSpec) -> Result<(u16, Holder)> {
    let address = wish.host_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let doing = |e| Error::io(format!("finding a free port on {address}"), e);
    for _ in 0..64 {
        let (port, holder) = match wish.protocol {
            Protocol::Udp => {
                let socket = UdpSocket::bind((address, 0)).map_err(doing)?;
                (socket.local_addr().map_err(doing)?.port(), Holder::Udp { _socket: socket })
            }
            _ => {
                let socket = TcpListener::bind((address, 0)).map_err(doing)?;
                (socket.local_addr().map_err(doing)?.port(), Holder::Tcp { _socket: socket })
            }
        };
        let rest_free = (1..wish.count).all(|offset| port.checked_add(offset).is_some_and(|next| is_free(address, next, wish.protocol)));
        if rest_free {
            return Ok((port, holder));
        }
    }
    Err(Error::new(ErrorKind::Unavailable, format!("finding {} free ports in a row on {address}", wish.count)))
}

fn is_free(address: IpAddr, port: u16, protocol: Protocol) -> bool {
    match protocol {
        Protocol::Udp => UdpSocket::bind((address, port)).is_ok(),
        _ => TcpListener::bind((address, port)).is_ok(),
    }
}

/// Says at once, in words, why a port of the host cannot be taken; the forwarder would say it late and less.
pub fn check_free(ports: &[PortSpec]) -> Result<()> {
    for wish in ports {
        let Some(first) = wish.host_port else { continue };
        let address = wish.host_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        for port in (0..wish.count).filter_map(|offset| first.checked_add(offset)) {
            let tried = match wish.protocol {
                Protocol::Tcp => TcpListener::bind((address, port)).map(drop),
                Protocol::Udp => UdpSocket::bind((address, port)).map(drop),
                Protocol::Sctp => Ok(()),
            };
            match tried {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                    return Err(Error::new(
                        ErrorKind::NotPermitted,
                        format!("publishing port {port}: an ordinary user may not listen on a port this low: permission denied"),
                    )
                    .with_cure(Cure::PrivilegedPort { port }));
                }
                Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
                    return Err(Error::new(ErrorKind::Conflict, format!("publishing port {address}:{port}: address already in use"))
                        .with_cure(Cure::PortInUse { port }));
                }
                Err(e) => return Err(Error::io(format!("publishing port {address}:{port}"), e)),
            }
        }
    }
    Ok(())
}

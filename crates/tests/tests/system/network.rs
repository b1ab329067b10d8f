//! Networks of one container.

use std::io::{Read, Write};
use system_tests::Place;

#[test]
fn none_has_loopback_alone() {
    let place = Place::new();
    let out = place.shell(&[], "cat /proc/net/dev | grep -c :; grep -c lo: /proc/net/dev").ok();
    assert_eq!(out, "1\n1");
}

#[test]
fn pasta_publishes_ports() {
    if std::fs::File::options().read(true).write(true).open("/dev/net/tun").is_err() {
        eprintln!("skipped: /dev/net/tun cannot be opened");
        return;
    }
    let place = Place::new();
    place
        .run(&[
            "run",
            "-d",
            "--name",
            "w",
            "-p",
            "127.0.0.1::80",
            "--network",
            "pasta",
            "box",
            "sh",
            "-c",
            "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp",
        ])
        .ok();
    let port = place.run(&["port", "w", "80"]).ok();
    let fetch = || -> Option<String> {
        let mut stream = std::net::TcpStream::connect(&port).ok()?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(2))).ok()?;
        stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    };
    place.until("the page", || fetch().is_some_and(|text| text.contains("hello")));
    place.run(&["rm", "-f", "-t", "0", "w"]).ok();
    place.until("the helper to end", || std::net::TcpStream::connect(&port).is_err());
}

#[test]
fn ports_that_cannot_be_had_are_named() {
    let place = Place::new();
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    place
        .run(&["run", "--rm", "-p", &format!("{port}:80"), "box", "true"])
        .fails(125, &["address already in use", &port.to_string(), "hint: "]);
    if !rustix::process::geteuid().is_root()
        && std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
            .is_ok_and(|text| text.trim().parse::<u16>().is_ok_and(|first| first > 80))
    {
        place.run(&["run", "--rm", "-p", "80:80", "box", "true"]).fails(125, &["80", "hint: ", "ip_unprivileged_port_start"]);
    }
    place.run(&["run", "--rm", "-p", "80:80:80:80", "box", "true"]).fails(125, &["port mapping"]);
    place.run(&["run", "--rm", "--network", "somenet", "box", "true"]).fails(125, &["somenet", "not supported yet"]);
}

#[test]
fn names_are_written_down() {
    let place = Place::new();
    let hosts = place.shell(&["--add-host", "other:10.9.8.7", "--hostname", "me"], "cat /etc/hosts").ok();
    assert!(hosts.contains("10.9.8.7\tother") && hosts.contains("localhost") && hosts.contains("me"), "{hosts}");
    let resolv = place.shell(&["--dns", "10.1.1.1", "--dns-search", "example.org", "--dns-option", "ndots:3"], "cat /etc/resolv.conf").ok();
    assert_eq!(resolv, "search example.org\nnameserver 10.1.1.1\noptions ndots:3");
    assert_eq!(place.shell(&["--add-host", "a\nb:1.1.1.1"], "true").code, 125);
}

#[test]
fn a_network_is_shared_with_another() {
    let place = Place::new();
    place.run(&["run", "-d", "--name", "first", "--network", "none", "box", "sleep", "1000"]).ok();
    let first = place.run(&["exec", "first", "readlink", "/proc/self/ns/net"]).ok();
    assert_eq!(place.run(&["run", "--rm", "--network", "container:first", "box", "readlink", "/proc/self/ns/net"]).ok(), first);
    let host = std::fs::read_link("/proc/self/ns/net").unwrap().to_string_lossy().into_owned();
    assert_eq!(place.run(&["run", "--rm", "--network", "host", "box", "readlink", "/proc/self/ns/net"]).ok(), host);
}

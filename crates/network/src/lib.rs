//! Networks of one container: pasta, slirp4netns, ports, hosts and resolv.conf.

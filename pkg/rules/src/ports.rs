//! Host ports a pod occupies on its node (kube-scheduler framework `HostPortInfo`,
//! pkg/scheduler/util `GetHostPorts`).

use k8s_openapi::api::core::v1::{Container, ContainerPort, PodSpec};

/// One port on the node's own addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// Address it binds, `0.0.0.0` for all.
    pub ip: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// 1 to 65535.
    pub port: i32,
}

const ALL_ADDRESSES: &str = "0.0.0.0";

/// The host ports of a pod: those of its containers and of its restartable init containers.
pub fn host_ports(pod: &PodSpec) -> Vec<HostPort> {
    let restartable = pod
        .init_containers
        .iter()
        .flatten()
        .filter(|c| crate::resources::is_restartable_init_container(c));
    pod.containers
        .iter()
        .chain(restartable)
        .flat_map(container_ports)
        .collect()
}

fn container_ports(container: &Container) -> impl Iterator<Item = HostPort> {
    container.ports.iter().flatten().filter_map(from_port)
}

fn from_port(port: &ContainerPort) -> Option<HostPort> {
    let number = port.host_port.filter(|p| *p > 0)?;
    let or =
        |text: &Option<String>, default: &str| text.as_deref().filter(|t| !t.is_empty()).unwrap_or(default).to_string();
    Some(HostPort {
        ip: or(&port.host_ip, ALL_ADDRESSES),
        protocol: or(&port.protocol, "TCP"),
        port: number,
    })
}

/// Whether two host ports cannot live on one node: same protocol and port, and the same address
/// or one of them on all addresses (`HostPortInfo.CheckConflict`).
pub fn conflict(a: &HostPort, b: &HostPort) -> bool {
    a.port == b.port && a.protocol == b.protocol && (a.ip == b.ip || a.ip == ALL_ADDRESSES || b.ip == ALL_ADDRESSES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, protocol: &str, port: i32) -> HostPort {
        HostPort {
            ip: ip.into(),
            protocol: protocol.into(),
            port,
        }
    }

    #[test]
    fn ports_conflict_on_same_protocol_and_overlapping_address() {
        let cases = [
            (port("0.0.0.0", "TCP", 80), port("127.0.0.1", "TCP", 80), true),
            (port("10.0.0.1", "TCP", 80), port("10.0.0.2", "TCP", 80), false),
            (port("10.0.0.1", "TCP", 80), port("10.0.0.1", "UDP", 80), false),
            (port("10.0.0.1", "TCP", 80), port("10.0.0.1", "TCP", 81), false),
        ];
        for (a, b, want) in cases {
            assert_eq!(conflict(&a, &b), want, "{a:?} {b:?}");
            assert_eq!(conflict(&b, &a), want, "{b:?} {a:?}");
        }
    }

    #[test]
    fn container_ports_without_host_port_do_not_count() {
        let pod = PodSpec {
            containers: vec![Container {
                ports: Some(vec![
                    ContainerPort {
                        container_port: 80,
                        ..ContainerPort::default()
                    },
                    ContainerPort {
                        container_port: 81,
                        host_port: Some(81),
                        ..ContainerPort::default()
                    },
                ]),
                ..Container::default()
            }],
            ..PodSpec::default()
        };
        assert_eq!(host_ports(&pod), [port("0.0.0.0", "TCP", 81)]);
    }
}

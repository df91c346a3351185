//! The few messages of the kernel's connection-tracking interface (`nfnetlink_conntrack.h`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

use super::Flow;

// nlmsghdr: length, type, flags, sequence, port; nfgenmsg: family, version, resource.
const HEADER: usize = 16;
const GENERIC: usize = 4;
const SUBSYSTEM: u16 = 1 << 8;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const NESTED: u16 = 0x8000;

const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const PROTOCOL_NUMBER: u16 = 1;
const PROTOCOL_SOURCE: u16 = 2;
const PROTOCOL_DESTINATION: u16 = 3;
const UDP: u8 = 17;
const INET: u8 = 2;
const INET6: u8 = 10;

/// A connection to the kernel.
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    pub(super) fn open() -> io::Result<Self> {
        let protocol = Some(netlink::NETFILTER);
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        Ok(Self { fd, sequence: 0 })
    }

    /// All UDP flows, IPv4 and IPv6.
    pub(super) fn udp_flows(&mut self) -> io::Result<Vec<Flow>> {
        let mut flows = Vec::new();
        for family in [INET, INET6] {
            self.request(GET, REQUEST | DUMP, family, &[])?;
            self.answers(|attributes| flows.extend(flow(attributes)))?;
        }
        Ok(flows)
    }

    /// Makes the kernel forget `flow`; it may have done so already.
    pub(super) fn forget(&mut self, flow: &Flow) -> io::Result<()> {
        let family = if flow.source.is_ipv4() { INET } else { INET6 };
        self.request(DELETE, REQUEST | ACK, family, &original_tuple(flow))?;
        match self.answers(|_| {}) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn request(&mut self, kind: u16, flags: u16, family: u8, attributes: &[u8]) -> io::Result<()> {
        self.sequence += 1;
        let message = message(kind, flags, self.sequence, family, attributes);
        send(&self.fd, &message, SendFlags::empty())?;
        Ok(())
    }

    // Until the kernel says that it is done, or what is wrong.
    fn answers(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = vec![0u8; 64 << 10];
        loop {
            let (read, _) = recv(&self.fd, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = &buffer[..read];
            while let Some((kind, body, next)) = split_message(rest) {
                rest = next;
                match kind {
                    DONE => return Ok(()),
                    ERROR => {
                        let code = body
                            .get(..4)
                            .map_or(0, |code| i32::from_ne_bytes([code[0], code[1], code[2], code[3]]));
                        return if code == 0 {
                            Ok(())
                        } else {
                            Err(io::Error::from_raw_os_error(-code))
                        };
                    }
                    _ => each(body.get(GENERIC..).unwrap_or_default()),
                }
            }
        }
    }
}

pub(super) fn message(kind: u16, flags: u16, sequence: u32, family: u8, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + GENERIC + attributes.len()).expect("a request is small");
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend([family, 0, 0, 0]);
    message.extend(attributes);
    message
}

/// The first message of `bytes`: its type, its body, and what follows.
pub(super) fn split_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(HEADER..length)?;
    Some((kind, body, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The UDP flow these attributes describe.
pub(super) fn flow(attributes: &[u8]) -> Option<Flow> {
    let (source, destination) = tuple(find(attributes, TUPLE_ORIGINAL)?)?;
    let (answerer, _) = tuple(find(attributes, TUPLE_REPLY)?)?;
    Some(Flow {
        source,
        destination,
        answerer,
    })
}

/// The attribute by which the kernel finds `flow`.
pub(super) fn original_tuple(flow: &Flow) -> Vec<u8> {
    let address = |kind: u16, ip: IpAddr| match ip {
        IpAddr::V4(ip) => attribute(kind, &ip.octets()),
        IpAddr::V6(ip) => attribute(kind + 2, &ip.octets()),
    };
    let addresses = [address(1, flow.source.ip()), address(2, flow.destination.ip())].concat();
    let protocol = [
        attribute(PROTOCOL_NUMBER, &[UDP]),
        attribute(PROTOCOL_SOURCE, &flow.source.port().to_be_bytes()),
        attribute(PROTOCOL_DESTINATION, &flow.destination.port().to_be_bytes()),
    ]
    .concat();
    let tuple = [
        attribute(TUPLE_IP | NESTED, &addresses),
        attribute(TUPLE_PROTOCOL | NESTED, &protocol),
    ]
    .concat();
    attribute(TUPLE_ORIGINAL | NESTED, &tuple)
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("an attribute is small");
    let mut bytes = Vec::with_capacity(usize::from(length).next_multiple_of(4));
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?) & 0x3fff;
        let value = attributes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

// Source and destination, if it is UDP.
fn tuple(attributes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let protocol = find(attributes, TUPLE_PROTOCOL)?;
    if find(protocol, PROTOCOL_NUMBER)? != [UDP] {
        return None;
    }
    let port = |kind: u16| Some(u16::from_be_bytes(find(protocol, kind)?.try_into().ok()?));
    let addresses = find(attributes, TUPLE_IP)?;
    let address = |kind: u16| -> Option<IpAddr> {
        if let Some(v4) = find(addresses, kind) {
            return Some(Ipv4Addr::from(<[u8; 4]>::try_from(v4).ok()?).into());
        }
        Some(Ipv6Addr::from(<[u8; 16]>::try_from(find(addresses, kind + 2)?).ok()?).into())
    };
    Some((
        SocketAddr::new(address(1)?, port(PROTOCOL_SOURCE)?),
        SocketAddr::new(address(2)?, port(PROTOCOL_DESTINATION)?),
    ))
}

//! The text `nft` gets. Pure; pinned by the goldens in `tests/`.
//!
//! Way of a packet: `services` marks it for masquerade if its answer must come back through this node,
//! finds the chain for its address, protocol and port in a map, and that chain takes a random endpoint
//! out of another map: `numgen random mod <number of endpoints>` is part of the key. There is one such
//! chain per number of endpoints. What has no endpoints is met again in `no-endpoints`, unchanged, when
//! it enters, leaves or crosses the node.
//! Facts of what must happen when: upstream `pkg/proxy/nftables/proxier.go` `setupNFTables`.

use std::fmt::Write;
use std::net::IpAddr;

use super::desired::Changes;
use super::elements::{INSIDE_OFFSET, Map, Spread, Value};
use crate::model::Family;

/// Name of the table, upstream's too: one replaces the other's.
const TABLE: &str = "kube-proxy";

/// What the base chains depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// How packets of this cluster's pods are told from others.
    pub(crate) local: Local,
    /// Bit of the packet mark that says: masquerade.
    pub(crate) masquerade_bit: u32,
    /// Masquerade everything that goes to a cluster address.
    pub(crate) masquerade_all: bool,
    /// Node ports answer on these only; empty: on all addresses of the node but loopback.
    pub(crate) nodeport_addresses: Vec<String>,
}

/// What tells a pod's packet (`--detect-local-mode`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Local {
    /// Nothing does: nobody is masqueraded for being an outsider.
    #[default]
    Unknown,
    /// A source address out of these ranges.
    Cidrs(Vec<String>),
    /// Coming in by this interface; a trailing `*` stands for anything.
    Interface(String),
}

/// Text that removes our tables, whether they exist or not.
pub(crate) fn remove_tables() -> String {
    Family::ALL.map(|family| remove_table(family)).concat()
}

fn remove_table(family: Family) -> String {
    let family = keyword(family);
    format!("add table {family} {TABLE}\ndelete table {family} {TABLE}\n")
}

/// Text that replaces the whole table by `all`, in one transaction.
pub(crate) fn full(family: Family, settings: &Settings, all: &Changes) -> String {
    let mut text = remove_table(family);
    base(&mut text, family, settings);
    incremental_into(&mut text, family, all);
    text
}

/// Text that makes `changes` to a table, in one transaction.
pub(crate) fn incremental(family: Family, changes: &Changes) -> String {
    let mut text = String::new();
    incremental_into(&mut text, family, changes);
    text
}

fn keyword(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

// Writing to a String cannot fail: results of write! are dropped in this file.

fn incremental_into(text: &mut String, family: Family, changes: &Changes) {
    let ip = keyword(family);
    for spread in &changes.chains {
        let chain = spread.chain();
        let _ = writeln!(text, "add chain {ip} {TABLE} {chain}\nflush chain {ip} {TABLE} {chain}");
        for rule in spread_rules(*spread, ip) {
            let _ = writeln!(text, "add rule {ip} {TABLE} {chain} {rule}");
        }
    }
    for map in Map::ALL {
        let removed = changes
            .remove
            .iter()
            .filter(|(of, _)| *of == map)
            .map(|(_, key)| key.clone());
        list(text, &format!("delete element {ip} {TABLE} {}", map.name()), removed);
    }
    for map in Map::ALL {
        let added = changes
            .add
            .iter()
            .filter(|((of, _), _)| *of == map)
            .map(|((_, key), value)| pair(key, *value));
        list(text, &format!("add element {ip} {TABLE} {}", map.name()), added);
    }
}

fn list(text: &mut String, command: &str, mut elements: impl Iterator<Item = String>) {
    if let Some(first) = elements.next() {
        let _ = write!(text, "{command} {{ {first}");
        for element in elements {
            let _ = write!(text, ", {element}");
        }
        text.push_str(" }\n");
    }
}

fn pair(key: &str, value: Value) -> String {
    match value {
        Value::Member => key.to_owned(),
        Value::To(to) => format!("{key} : {} . {}", to.ip(), to.port()),
        Value::Spread(spread) => format!("{key} : goto {}", spread.chain()),
        Value::Reject => format!("{key} : goto refuse"),
        Value::Drop => format!("{key} : drop"),
    }
}

fn spread_rules(spread: Spread, ip: &str) -> Vec<String> {
    let mut rules = Vec::new();
    if spread.inside {
        // The node itself asks: the endpoint must see an address that it can answer through this node.
        rules.push("fib saddr type local jump mark-for-masquerade".to_owned());
    }
    let offset = if spread.inside {
        format!(" offset {INSIDE_OFFSET}")
    } else {
        String::new()
    };
    let number = if spread.sticky {
        format!("jhash {ip} saddr mod {} seed 0x1{offset}", spread.count)
    } else {
        format!("numgen random mod {}{offset}", spread.count)
    };
    let key = if spread.nodeport {
        format!(
            "meta l4proto . th dport . {number} map @{}",
            Map::NodeportEndpoints.name()
        )
    } else {
        format!(
            "{ip} daddr . meta l4proto . th dport . {number} map @{}",
            Map::ServiceEndpoints.name()
        )
    };
    rules.push(format!("meta l4proto {{ tcp, udp, sctp }} dnat {ip} to {key}"));
    rules
}

fn base(text: &mut String, family: Family, settings: &Settings) {
    let ip = keyword(family);
    let mark = 1u64 << settings.masquerade_bit;
    let own = own_address(family, settings);
    let from_outside = match &settings.local {
        _ if settings.masquerade_all => Some(String::new()),
        Local::Unknown => None,
        Local::Cidrs(cidrs) => cidr_list(cidrs, family).map(|cidrs| format!(" {ip} saddr != {cidrs}")),
        Local::Interface(name) => Some(format!(" iifname != \"{name}\"")),
    };
    let from_pod = match &settings.local {
        Local::Unknown => None,
        Local::Cidrs(cidrs) => cidr_list(cidrs, family).map(|cidrs| format!("{ip} saddr {cidrs}")),
        Local::Interface(name) => Some(format!("iifname \"{name}\"")),
    };
    let _ = writeln!(text, "table {ip} {TABLE} {{\n\tcomment \"rules for kube-proxy\"");
    for map in Map::ALL {
        declare(text, map, ip);
    }
    chain(
        text,
        "mark-for-masquerade",
        &[format!("meta mark set meta mark | {mark:#x}")],
    );
    chain(text, "refuse", &["reject".to_owned()]);
    chain(
        text,
        "inside",
        &[
            format!("{ip} daddr . meta l4proto . th dport vmap @inside-service-ips"),
            format!("{own} meta l4proto . th dport vmap @inside-nodeports"),
        ],
    );
    let mut services = Vec::new();
    if let Some(from_outside) = from_outside {
        services.push(format!(
            "{ip} daddr @cluster-ips{from_outside} jump mark-for-masquerade"
        ));
    }
    services.push(format!(
        "{ip} daddr . meta l4proto . th dport @masquerade-services jump mark-for-masquerade"
    ));
    services.push(format!(
        "{own} meta l4proto . th dport @masquerade-nodeports jump mark-for-masquerade"
    ));
    if let Some(from_pod) = from_pod {
        services.push(format!("{from_pod} jump inside"));
    }
    services.push("fib saddr type local jump inside".to_owned());
    services.push(format!("{ip} daddr . meta l4proto . th dport vmap @service-ips"));
    services.push(format!("{own} meta l4proto . th dport vmap @nodeports"));
    chain(text, "services", &services);
    chain(
        text,
        "no-endpoints",
        &[
            format!("{ip} daddr . meta l4proto . th dport vmap @no-endpoint-services"),
            format!("{own} meta l4proto . th dport vmap @no-endpoint-nodeports"),
            // A cluster address, but none of its ports.
            format!("{ip} daddr @cluster-ips goto refuse"),
        ],
    );
    // Destinations are rewritten first (priority -100), so that the filters meet what was not.
    let hooks: [(&str, &str, &[String]); 6] = [
        (
            "nat-prerouting",
            "type nat hook prerouting priority -100",
            &["jump services".to_owned()],
        ),
        (
            "nat-output",
            "type nat hook output priority -100",
            &["jump services".to_owned()],
        ),
        (
            "nat-postrouting",
            "type nat hook postrouting priority 100",
            &[
                format!("ct status dnat {ip} saddr . {ip} daddr @hairpin masquerade fully-random"),
                format!("meta mark & {mark:#x} == 0 return"),
                format!("meta mark set meta mark ^ {mark:#x}"),
                "masquerade fully-random".to_owned(),
            ],
        ),
        (
            "filter-input",
            "type filter hook input priority -90",
            &["ct state new jump no-endpoints".to_owned()],
        ),
        (
            "filter-forward",
            "type filter hook forward priority -90",
            &["ct state new jump no-endpoints".to_owned()],
        ),
        (
            "filter-output",
            "type filter hook output priority -90",
            &["ct state new jump no-endpoints".to_owned()],
        ),
    ];
    for (name, hook, rules) in hooks {
        let mut lines = vec![format!("{hook}; policy accept;")];
        lines.extend_from_slice(rules);
        chain(text, name, &lines);
    }
    text.push_str("}\n");
}

fn own_address(family: Family, settings: &Settings) -> String {
    let ip = keyword(family);
    let loopback = match family {
        Family::V4 => "127.0.0.0/8",
        Family::V6 => "::1",
    };
    let mut text = format!("fib daddr type local {ip} daddr != {loopback}");
    if !settings.nodeport_addresses.is_empty() {
        match cidr_list(&settings.nodeport_addresses, family) {
            Some(list) => {
                let _ = write!(text, " {ip} daddr {list}");
            }
            // Only addresses of the other family are allowed: none of this one is.
            None => {
                let _ = write!(text, " {ip} daddr {loopback}");
            }
        }
    }
    text
}

fn cidr_list(cidrs: &[String], family: Family) -> Option<String> {
    let of_family = |cidr: &&String| {
        let address = cidr
            .split('/')
            .next()
            .and_then(|address| address.parse::<IpAddr>().ok());
        address.is_some_and(|address| Family::of(address) == family)
    };
    let list: Vec<_> = cidrs.iter().filter(of_family).map(String::as_str).collect();
    (!list.is_empty()).then(|| format!("{{ {} }}", list.join(", ")))
}

fn declare(text: &mut String, map: Map, ip: &str) {
    let address = format!("typeof {ip} daddr . meta l4proto . th dport");
    let port = "typeof meta l4proto . th dport";
    let number = "numgen random mod 65536";
    let (word, key) = match map {
        Map::ServiceIps | Map::InsideServiceIps | Map::NoEndpointServices => ("map", format!("{address} : verdict")),
        Map::Nodeports | Map::InsideNodeports | Map::NoEndpointNodeports => ("map", format!("{port} : verdict")),
        Map::ServiceEndpoints => ("map", format!("{address} . {number} : {ip} daddr . th dport")),
        Map::NodeportEndpoints => ("map", format!("{port} . {number} : {ip} daddr . th dport")),
        Map::MasqueradeServices => ("set", address),
        Map::MasqueradeNodeports => ("set", port.to_owned()),
        Map::ClusterIps => ("set", format!("typeof {ip} daddr")),
        Map::Hairpin => ("set", format!("typeof {ip} saddr . {ip} daddr")),
    };
    let _ = writeln!(text, "\t{word} {} {{\n\t\t{key}\n\t}}", map.name());
}

fn chain(text: &mut String, name: &str, rules: &[String]) {
    let _ = writeln!(text, "\tchain {name} {{");
    for rule in rules {
        let _ = writeln!(text, "\t\t{rule}");
    }
    text.push_str("\t}\n");
}

//! The text `nft` gets. Pure; pinned by the goldens in `tests/`.
//!
//! Way of a packet: `services` marks it for masquerade if its answer must come back through this node,
//! finds the chain for its address, protocol and port in a map, and that chain draws a number. There is
//! one such chain per *number of endpoints*, not per Service. For each number there is a map, again keyed
//! by address, protocol and port, that has the endpoint of that number. What has no endpoints is met again
//! in `no-endpoints`, unchanged, when it enters, leaves or crosses the node.
//! (One endpoint map with the number as part of its key would do, but nft 1.0.6 cannot add a rule over
//! such a map once it exists: "conflicting protocols specified".)
//! Facts of what must happen when: upstream `pkg/proxy/nftables/proxier.go` `setupNFTables`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use super::desired::Changes;
use super::elements::{Map, Pool, Spread, Value};
use crate::model::Family;

/// Name of the table, upstream's too: one replaces the other's.
const TABLE: &str = "kube-proxy";

/// What a packet is looked up by beside its address.
const NODEPORT: &str = "meta l4proto . th dport";

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
    Family::ALL.map(remove_table).concat()
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
    for (pool, number) in &changes.slots {
        let map = Map::Endpoints(*pool, *number);
        let chain = endpoint_chain(*pool, *number);
        let _ = writeln!(text, "add map {ip} {TABLE} {} {{ {}; }}", map.name(), kind(map, family));
        let _ = writeln!(text, "add chain {ip} {TABLE} {chain}\nflush chain {ip} {TABLE} {chain}");
        let key = if pool.nodeport {
            NODEPORT.to_owned()
        } else {
            format!("{ip} daddr . {NODEPORT}")
        };
        let rule = format!(
            "meta l4proto {{ tcp, udp, sctp }} dnat {ip} to {key} map @{}",
            map.name()
        );
        let _ = writeln!(text, "add rule {ip} {TABLE} {chain} {rule}");
    }
    for spread in &changes.chains {
        let chain = spread.chain();
        let _ = writeln!(text, "add chain {ip} {TABLE} {chain}\nflush chain {ip} {TABLE} {chain}");
        for rule in spread_rules(*spread, ip) {
            let _ = writeln!(text, "add rule {ip} {TABLE} {chain} {rule}");
        }
    }
    for (map, removed) in by_map(changes.remove.iter().map(|(map, key)| (*map, key.clone()))) {
        let _ = writeln!(
            text,
            "delete element {ip} {TABLE} {} {{ {} }}",
            map.name(),
            removed.join(", ")
        );
    }
    for (map, added) in by_map(changes.add.iter().map(|((map, key), value)| (*map, pair(key, *value)))) {
        let _ = writeln!(
            text,
            "add element {ip} {TABLE} {} {{ {} }}",
            map.name(),
            added.join(", ")
        );
    }
}

fn by_map(elements: impl Iterator<Item = (Map, String)>) -> BTreeMap<Map, Vec<String>> {
    let mut maps: BTreeMap<Map, Vec<String>> = BTreeMap::new();
    for (map, element) in elements {
        maps.entry(map).or_default().push(element);
    }
    maps
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

fn endpoint_chain(pool: Pool, number: usize) -> String {
    format!("{}-endpoint-{number}", pool.name())
}

fn spread_rules(spread: Spread, ip: &str) -> Vec<String> {
    let mut rules = Vec::new();
    if spread.pool.inside {
        // The node itself asks: the endpoint must see an address that it can answer through this node.
        rules.push("fib saddr type local jump mark-for-masquerade".to_owned());
    }
    let number = if spread.sticky {
        format!("jhash {ip} saddr mod {} seed 0x1", spread.count)
    } else {
        format!("numgen random mod {}", spread.count)
    };
    let chains: Vec<_> = (0..spread.count)
        .map(|number| format!("{number} : goto {}", endpoint_chain(spread.pool, number)))
        .collect();
    rules.push(format!("{number} vmap {{ {} }}", chains.join(", ")));
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
    for map in Map::FIXED {
        let word = if is_set(map) { "set" } else { "map" };
        let _ = writeln!(text, "\t{word} {} {{\n\t\t{}\n\t}}", map.name(), kind(map, family));
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
            format!("{ip} daddr . {NODEPORT} vmap @inside-service-ips"),
            format!("{own} {NODEPORT} vmap @inside-nodeports"),
        ],
    );
    let mut services = Vec::new();
    if let Some(from_outside) = from_outside {
        services.push(format!(
            "{ip} daddr @cluster-ips{from_outside} jump mark-for-masquerade"
        ));
    }
    services.push(format!(
        "{ip} daddr . {NODEPORT} @masquerade-services jump mark-for-masquerade"
    ));
    services.push(format!(
        "{own} {NODEPORT} @masquerade-nodeports jump mark-for-masquerade"
    ));
    if let Some(from_pod) = from_pod {
        services.push(format!("{from_pod} jump inside"));
    }
    services.push("fib saddr type local jump inside".to_owned());
    services.push(format!("{ip} daddr . {NODEPORT} vmap @service-ips"));
    services.push(format!("{own} {NODEPORT} vmap @nodeports"));
    chain(text, "services", &services);
    chain(
        text,
        "no-endpoints",
        &[
            format!("{ip} daddr . {NODEPORT} vmap @no-endpoint-services"),
            format!("{own} {NODEPORT} vmap @no-endpoint-nodeports"),
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

fn is_set(map: Map) -> bool {
    matches!(
        map,
        Map::MasqueradeServices | Map::MasqueradeNodeports | Map::ClusterIps | Map::Hairpin
    )
}

fn kind(map: Map, family: Family) -> String {
    let ip = match family {
        Family::V4 => "ipv4_addr",
        Family::V6 => "ipv6_addr",
    };
    let address = format!("type {ip} . inet_proto . inet_service");
    let port = "type inet_proto . inet_service";
    match map {
        Map::ServiceIps | Map::InsideServiceIps | Map::NoEndpointServices => format!("{address} : verdict"),
        Map::Nodeports | Map::InsideNodeports | Map::NoEndpointNodeports => format!("{port} : verdict"),
        Map::MasqueradeServices => address,
        Map::MasqueradeNodeports => port.to_owned(),
        Map::ClusterIps => format!("type {ip}"),
        Map::Hairpin => format!("type {ip} . {ip}"),
        Map::Endpoints(Pool { nodeport: false, .. }, _) => format!("{address} : {ip} . inet_service"),
        Map::Endpoints(Pool { nodeport: true, .. }, _) => format!("{port} : {ip} . inet_service"),
    }
}

fn chain(text: &mut String, name: &str, rules: &[String]) {
    let _ = writeln!(text, "\tchain {name} {{");
    for rule in rules {
        let _ = writeln!(text, "\t\t{rule}");
    }
    text.push_str("\t}\n");
}

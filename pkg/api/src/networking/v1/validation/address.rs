//! Addresses of services and the networks they come from.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::validation::{is_path_segment_name, is_strict_cidr, is_strict_ip};
use k8s_openapi::api::networking::v1::{IPAddress, ParentReference, ServiceCIDR};
use serde_json::json;

use crate::check::{IMMUTABLE, dns_subdomain, equal, invalid_each, list, required, shown, sloppy_cidr, text};
use crate::internal;
use crate::meta;

/// A new IPAddress (`ValidateIPAddress`): its name is the address.
pub fn ip_address_create(obj: &IPAddress) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, |name, _| is_strict_ip(name));
    let (parent, path) = (&obj.spec.parent_ref, Path::new("spec").child("parentRef"));
    if *parent == ParentReference::default() {
        errs.push(Error::required(&path, ""));
        return errs;
    }
    let group = text(&parent.group);
    if !group.is_empty() {
        dns_subdomain(&mut errs, &path.child("group"), group);
    }
    for (field, value) in [("resource", &parent.resource), ("name", &parent.name)] {
        required(&mut errs, &path.child(field), value);
        invalid_each(&mut errs, &path.child(field), value, is_path_segment_name(value));
    }
    let namespace = text(&parent.namespace);
    let messages = is_path_segment_name(namespace);
    invalid_each(&mut errs, &path.child("namespace"), namespace, messages);
    errs
}

/// A changed IPAddress: the rules of a new one, and whose it is stays (the strategy's `ValidateUpdate`).
pub fn ip_address_update(new: &IPAddress, old: &IPAddress) -> ErrorList {
    let mut errs = ip_address_create(new);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    let (parent, before) = (&new.spec.parent_ref, &old.spec.parent_ref);
    if !equal(parent, before) {
        let value = match *parent == ParentReference::default() {
            true => BadValue::Null,
            false => internal::shown("networking.ParentReference", parent),
        };
        let path = Path::new("spec").child("parentRef");
        errs.push(Error::invalid(&path, value, IMMUTABLE));
    }
    errs
}

/// A new ServiceCIDR (`ValidateServiceCIDR`).
pub fn service_cidr_create(obj: &ServiceCIDR) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    cidrs(&mut errs, networks(obj));
    errs
}

fn networks(obj: &ServiceCIDR) -> &[String] {
    obj.spec.as_ref().map(|s| list(&s.cidrs)).unwrap_or_default()
}

/// `validateServiceCIDRSpec`: one network, or one of each family.
fn cidrs(errs: &mut ErrorList, all: &[String]) {
    let path = Path::new("spec").child("cidrs");
    if all.is_empty() {
        errs.push(Error::required(&path, "at least one CIDR required"));
        return;
    }
    if all.len() > 2 {
        // Upstream shows the whole spec.
        let value = internal::shown("networking.ServiceCIDRSpec", &json!({"cidrs": all}));
        let rule = "may only hold up to 2 values";
        errs.push(Error::invalid(&path, value, rule));
        return;
    }
    for (index, cidr) in all.iter().enumerate() {
        invalid_each(errs, &path.index(index), cidr, is_strict_cidr(cidr));
    }
    let families: Vec<bool> = all
        .iter()
        .filter_map(|c| sloppy_cidr(c))
        .map(|(ip, _)| ip.is_ipv6())
        .collect();
    if let [first, second] = families[..]
        && first == second
    {
        let rule = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errs.push(Error::invalid(&path, shown(&all), rule));
    }
}

/// A changed ServiceCIDR (`ValidateServiceCIDRUpdate`): a network of the other family may be added.
pub fn service_cidr_update(new: &ServiceCIDR, old: &ServiceCIDR) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let path = Path::new("spec").child("cidrs");
    let (after, before) = (networks(new), networks(old));
    let one_more = before.len() == 1 && after.len() == 2;
    if before.len() != after.len() && !one_more {
        let value = if after.is_empty() {
            BadValue::Null
        } else {
            shown(&after)
        };
        errs.push(Error::invalid(&path, value, IMMUTABLE));
        return errs;
    }
    for (index, (after, before)) in after.iter().zip(before).enumerate() {
        if after != before {
            errs.push(Error::invalid(&path.index(index), after, IMMUTABLE));
        }
    }
    if one_more {
        cidrs(&mut errs, after);
    }
    errs
}

/// A changed status (`ValidateServiceCIDRStatusUpdate`).
pub fn service_cidr_status_update(new: &ServiceCIDR, old: &ServiceCIDR) -> ErrorList {
    meta::update(&new.metadata, &old.metadata)
}

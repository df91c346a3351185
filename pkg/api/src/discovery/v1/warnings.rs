//! Texts for `Warning` headers.

use apimachinery::field::Path;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::check::warnings_for_ip;
use crate::core::v1::warnings::has_label;

/// Of an EndpointSlice; its controllers write no addresses in odd forms (`warnOnBadIPs`), and how
/// addresses are written is said once (`warnOnDeprecatedAddressType`).
pub fn endpoint_slice(new: &EndpointSlice, old: Option<&EndpointSlice>) -> Vec<String> {
    let mut out = vec![];
    if old.is_none() && new.address_type == "FQDN" {
        out.push("spec.addressType: FQDN endpoints are deprecated".to_string());
    }
    let controllers = [
        "endpointslice-controller.k8s.io",
        "endpointslicemirroring-controller.k8s.io",
    ];
    if has_label(&new.metadata, "endpointslice.kubernetes.io/managed-by", &controllers) {
        return out;
    }
    for (index, endpoint) in new.endpoints.iter().flatten().enumerate() {
        let path = Path::new("endpoints").index(index).child("addresses");
        for (index, address) in endpoint.addresses.iter().enumerate() {
            out.extend(warnings_for_ip(&path.index(index), address));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::warned;
    use serde_json::json;

    #[test]
    fn names_and_odd_addresses() {
        let base = json!({"metadata": {}, "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.01"]}]});
        let odd = "endpoints[0].addresses[0]: non-standard IP address \"10.0.0.01\" is invalid: use \"10.0.0.1\"";
        let label = "/metadata/labels/endpointslice.kubernetes.io~1managed-by";
        warned(
            &base,
            |slice| endpoint_slice(slice, None),
            &[
                ("odd", json!({}), &[odd]),
                ("ours", json!({label: "endpointslice-controller.k8s.io"}), &[]),
                (
                    "names",
                    json!({"/addressType": "FQDN", "/endpoints/0/addresses": ["a.b"]}),
                    &["spec.addressType: FQDN endpoints are deprecated"],
                ),
            ],
        );
        warned(
            &base,
            |slice: &EndpointSlice| endpoint_slice(slice, Some(slice)),
            &[("said before", json!({"/addressType": "FQDN"}), &[odd])],
        );
    }
}

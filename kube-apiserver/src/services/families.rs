//! Which IP families a Service gets (upstream `service/storage/alloc.go` `initIPFamilyFields`).

use serde_json::{Value, json};

use crate::objects::{items, text};

/// The other family.
fn other(family: &str) -> &'static str {
    if family == "IPv4" { "IPv6" } else { "IPv4" }
}

/// Fills `spec.ipFamilies` and `spec.ipFamilyPolicy`. `served`: the cluster's families, default first.
pub(super) fn fill(service: &mut Value, served: &[&'static str]) {
    if text(service, "/spec/type") == "ExternalName" {
        return;
    }
    let headless = text(service, "/spec/clusterIP") == "None"
        || service.pointer("/spec/clusterIPs/0").and_then(Value::as_str) == Some("None");
    let selectorless = service.pointer("/spec/selector").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty);
    let default = served.first().copied().unwrap_or("IPv4");
    let mut families: Vec<String> =
        items(service, "/spec/ipFamilies").iter().filter_map(|f| f.as_str().map(str::to_owned)).collect();
    if families.is_empty() {
        // Addresses asked for tell the family.
        families = items(service, "/spec/clusterIPs")
            .iter()
            .filter_map(Value::as_str)
            .filter(|ip| *ip != "None")
            .map(|ip| if ip.contains(':') { "IPv6" } else { "IPv4" }.to_owned())
            .collect();
    }
    if families.is_empty() {
        families.push(default.to_owned());
    }
    let policy = text(service, "/spec/ipFamilyPolicy").to_owned();
    let policy = match policy.as_str() {
        "" if headless && selectorless => "RequireDualStack",
        "" if families.len() == 2 => "RequireDualStack",
        "" => "SingleStack",
        p => p,
    };
    let two = match policy {
        "SingleStack" => false,
        // A headless Service without selector has no addresses of its own to allocate.
        _ if headless && selectorless => true,
        "RequireDualStack" => true,
        _ => served.len() > 1,
    };
    if two && families.len() == 1 {
        families.push(other(&families[0]).to_owned());
    }
    service["spec"]["ipFamilies"] = json!(families);
    service["spec"]["ipFamilyPolicy"] = json!(policy);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_follow_policy_and_addresses() {
        let mut s = json!({"spec": {"type": "ClusterIP", "selector": {"a": "b"}}});
        fill(&mut s, &["IPv4"]);
        assert_eq!((&s["spec"]["ipFamilies"], &s["spec"]["ipFamilyPolicy"]), (&json!(["IPv4"]), &json!("SingleStack")));
        let mut s = json!({"spec": {"type": "ClusterIP", "clusterIP": "None"}});
        fill(&mut s, &["IPv4"]);
        assert_eq!(s["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
        let mut s = json!({"spec": {"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack"}});
        fill(&mut s, &["IPv4"]);
        assert_eq!(s["spec"]["ipFamilies"], json!(["IPv4"]));
    }
}

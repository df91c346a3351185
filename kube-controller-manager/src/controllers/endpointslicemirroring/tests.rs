use serde_json::{Value, json};

use super::*;

fn endpoints(subsets: Value) -> Endpoints {
    serde_json::from_value(json!({
        "metadata": {"name": "db", "namespace": "ns", "uid": "e1", "labels": {"team": "x"}, "annotations": {
            "note": "n", "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        "subsets": subsets}))
    .unwrap()
}

/// The slices as they would be stored, under made-up names.
fn stored(plan: &slices::Plan) -> Vec<Arc<EndpointSlice>> {
    let named = |(index, slice): (usize, &EndpointSlice)| {
        let mut slice = slice.clone();
        slice.metadata.name.get_or_insert_with(|| format!("db-{index}"));
        Arc::new(slice)
    };
    plan.create.iter().chain(&plan.update).enumerate().map(named).collect()
}

fn tcp(port: i32) -> Value {
    json!({"name": format!("p{port}"), "port": port, "protocol": "TCP"})
}

/// Type, ports and addresses (with `!` when not ready) of slices.
fn shape(slices: &[Arc<EndpointSlice>]) -> Vec<String> {
    let one = |slice: &Arc<EndpointSlice>| {
        let ports: Vec<_> = slice.ports.iter().flatten().filter_map(|p| p.port).collect();
        let addresses = slice.endpoints.iter().flatten().map(|e| {
            let ready = e.conditions.as_ref().unwrap().ready.unwrap();
            format!("{}{}", e.addresses[0], if ready { "" } else { "!" })
        });
        format!(
            "{} {ports:?} {}",
            slice.address_type,
            addresses.collect::<Vec<_>>().join(",")
        )
    };
    let mut shapes: Vec<_> = slices.iter().map(one).collect();
    shapes.sort();
    shapes
}

#[test]
fn addresses_are_mirrored_by_ports_and_family() {
    let cases = [
        ("no subsets", json!([]), vec![]),
        (
            "both families, ready or not",
            json!([{"addresses": [{"ip": "10.0.0.1"}, {"ip": "2001:db8::1"}], "notReadyAddresses": [{"ip": "10.0.0.2"}],
                "ports": [tcp(80)]}]),
            vec!["IPv4 [80] 10.0.0.1,10.0.0.2!", "IPv6 [80] 2001:db8::1"],
        ),
        (
            "subsets with the same addresses are one",
            json!([{"addresses": [{"ip": "10.0.0.1"}], "ports": [tcp(80)]},
                {"addresses": [{"ip": "10.0.0.1"}], "ports": [tcp(81)]},
                {"addresses": [{"ip": "10.0.0.2"}], "ports": [tcp(82)]}]),
            vec!["IPv4 [80, 81] 10.0.0.1", "IPv4 [82] 10.0.0.2"],
        ),
        (
            "not ready trumps ready",
            json!([{"addresses": [{"ip": "10.0.0.1"}], "notReadyAddresses": [{"ip": "10.0.0.1"}], "ports": [tcp(80)]}]),
            vec!["IPv4 [80] 10.0.0.1!"],
        ),
        (
            "without ports",
            json!([{"addresses": [{"ip": "10.0.0.1"}]}]),
            vec!["IPv4 [] 10.0.0.1"],
        ),
    ];
    for (what, subsets, wanted) in cases {
        let endpoints = endpoints(subsets);
        let mirror = plan::plan(&endpoints, &[], 1000);
        let slices = stored(&mirror.slices);
        assert_eq!(shape(&slices), wanted, "{what}");
        let again = plan::plan(&endpoints, &slices, 1000).slices;
        assert_eq!(
            (again.create.len(), again.update.len(), again.delete.len()),
            (0, 0, 0),
            "{what}: nothing to do the second time"
        );
    }
}

#[test]
fn a_slice_carries_labels_annotations_and_its_owner() {
    let endpoints =
        endpoints(json!([{"addresses": [{"ip": "010.0.0.1", "hostname": "h", "nodeName": "n"}], "ports": [tcp(80)]}]));
    let plan = plan::plan(&endpoints, &[], 1000).slices;
    let slice = serde_json::to_value(&plan.create[0]).unwrap();
    assert_eq!(slice["metadata"]["generateName"], "db-");
    assert_eq!(
        slice["metadata"]["labels"],
        json!({"team": "x", "kubernetes.io/service-name": "db",
            "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io"})
    );
    assert_eq!(slice["metadata"]["annotations"], json!({"note": "n"}));
    assert_eq!(slice["metadata"]["ownerReferences"][0]["kind"], "Endpoints");
    assert_eq!(
        slice["endpoints"],
        json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "hostname": "h", "nodeName": "n"}])
    );
}

#[test]
fn changes_update_slices_in_place_and_what_is_over_goes() {
    let before = endpoints(json!([{"addresses": [{"ip": "10.0.0.1"}], "ports": [tcp(80)]},
        {"addresses": [{"ip": "10.0.0.2"}], "ports": [tcp(81)]}]));
    let slices = stored(&plan::plan(&before, &[], 1000).slices);
    // Other addresses: an update. Other ports: the slice that goes is used again.
    let after = endpoints(json!([{"addresses": [{"ip": "10.0.0.3"}], "ports": [tcp(80)]},
        {"addresses": [{"ip": "10.0.0.2"}], "ports": [tcp(90)]}]));
    let plan = plan::plan(&after, &slices, 1000).slices;
    assert_eq!((plan.create.len(), plan.delete.len()), (0, 0));
    let slices = stored(&plan);
    assert_eq!(shape(&slices), ["IPv4 [80] 10.0.0.3", "IPv4 [90] 10.0.0.2"]);
    // Other labels, another owner of the same name, no addresses.
    let mut relabelled = after.clone();
    relabelled.metadata.labels = None;
    assert_eq!(plan::plan(&relabelled, &slices, 1000).slices.update.len(), 2);
    let mut replaced = after.clone();
    replaced.metadata.uid = Some("e2".into());
    assert_eq!(plan::plan(&replaced, &slices, 1000).slices.update.len(), 2);
    assert_eq!(plan::plan(&endpoints(json!([])), &slices, 1000).slices.delete.len(), 2);
}

#[test]
fn what_is_no_address_or_too_much_is_counted() {
    let addresses: Vec<Value> = ["10.0.0.1", "10.0.0.2", "nonsense", "10.0.0.3"]
        .iter()
        .map(|ip| json!({"ip": ip}))
        .collect();
    let endpoints = endpoints(json!([{"addresses": addresses, "ports": [tcp(80)]}]));
    let all = plan::plan(&endpoints, &[], 1000);
    assert_eq!((all.invalid, all.skipped), (1, 1));
    let two = plan::plan(&endpoints, &[], 2);
    assert_eq!((two.invalid, two.skipped), (0, 2));
    assert_eq!(two.slices.create[0].endpoints.as_ref().unwrap().len(), 2);
}

#[test]
fn endpoints_can_ask_to_be_left_alone() {
    let mut skipped = endpoints(json!([]));
    assert!(plan::is_mirrored(&skipped));
    let label = |value: &str| [("endpointslice.kubernetes.io/skip-mirror".to_owned(), value.to_owned())].into();
    skipped.metadata.labels = Some(label("true"));
    assert!(!plan::is_mirrored(&skipped));
    skipped.metadata.labels = Some(label("false"));
    assert!(plan::is_mirrored(&skipped));
    skipped.metadata.annotations =
        Some([("control-plane.alpha.kubernetes.io/leader".to_owned(), "{}".to_owned())].into());
    assert!(!plan::is_mirrored(&skipped));
}

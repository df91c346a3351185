#![allow(clippy::unwrap_used)]
use super::netlink::{flow, message, original_tuple, split_message};
use super::*;

fn new_flow(source: &str, destination: &str, answerer: &str) -> Flow {
    let parse = |text: &str| text.parse().unwrap();
    Flow {
        source: parse(source),
        destination: parse(destination),
        answerer: parse(answerer),
    }
}

#[test]
fn flows_to_a_service_that_end_elsewhere_are_stale() {
    let mut targets = Targets::default();
    let endpoints = BTreeSet::from(["10.244.0.5:53".parse().unwrap()]);
    targets.add(["10.96.0.10".parse().unwrap()], 53, 30053, &endpoints);
    targets.add(["10.96.0.11".parse().unwrap()], 53, 0, &BTreeSet::new());
    let good = new_flow("10.244.0.9:4000", "10.96.0.10:53", "10.244.0.5:53");
    let dead = new_flow("10.244.0.9:4001", "10.96.0.10:53", "10.244.0.6:53");
    // Sent while there was no endpoint: not rewritten at all.
    let early = new_flow("10.244.0.9:4002", "10.96.0.10:53", "10.96.0.10:53");
    let none_left = new_flow("10.244.0.9:4003", "10.96.0.11:53", "10.244.0.5:53");
    let node_port = new_flow("192.0.2.9:4004", "192.0.2.1:30053", "10.244.0.6:53");
    let foreign = new_flow("10.244.0.9:4005", "8.8.8.8:53", "8.8.8.8:53");
    let found = stale([good, dead, early, none_left, node_port, foreign], &targets);
    assert_eq!(found, [dead, early, none_left, node_port]);
}

#[test]
fn what_is_written_is_what_is_read() {
    for flow_in in [
        new_flow("10.0.0.1:1234", "10.96.0.10:53", "10.0.0.1:1234"),
        new_flow("[fd00::1]:1234", "[fd00::2]:53", "[fd00::1]:1234"),
    ] {
        let original = original_tuple(&flow_in);
        // The same tuple as the reply's: only the attribute's number differs.
        let mut reply = original.clone();
        reply[2] = 2;
        let bytes = message(0x101, 5, 1, 2, &[original, reply].concat());
        let (kind, body, rest) = split_message(&bytes).unwrap();
        assert_eq!((kind, rest.len()), (0x101, 0));
        assert_eq!(flow(&body[4..]), Some(flow_in));
    }
}

#[test]
fn broken_messages_are_not_read_beyond_their_end() {
    let flow_in = new_flow("10.0.0.1:1234", "10.96.0.10:53", "10.0.0.1:1234");
    let bytes = message(0x101, 5, 1, 2, &original_tuple(&flow_in));
    for end in 0..bytes.len() {
        assert!(split_message(&bytes[..end]).is_none());
        let _ = flow(&bytes[..end]);
    }
}

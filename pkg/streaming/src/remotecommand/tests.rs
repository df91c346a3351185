//! A WebSocket client on one side, a SPDY remote command server on the other.
#![allow(clippy::unwrap_used)]

use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;

/// A server that answers stdin in upper case after its end, then reports `status`.
async fn upper_case(mut server: Session, status: &'static str) {
    let (mut stdin, mut stdout, mut error) = (None, None, None);
    while stdin.is_none() || stdout.is_none() || error.is_none() {
        let stream = server.accept().await.unwrap();
        match stream.header("streamtype").unwrap() {
            "stdin" => stdin = Some(stream),
            "stdout" => stdout = Some(stream),
            "error" => error = Some(stream),
            other => panic!("unexpected stream {other}"),
        }
    }
    let mut read = Vec::new();
    let mut stdin = stdin.unwrap();
    while let Some(data) = stdin.read().await {
        read.extend_from_slice(&data);
    }
    let (stdout, error) = (stdout.unwrap().writer(), error.unwrap().writer());
    error.write(Bytes::from_static(status.as_bytes())).await.unwrap();
    error.finish().await.unwrap();
    stdout.write(Bytes::from(read.to_ascii_uppercase())).await.unwrap();
    stdout.reset().await.unwrap();
}

async fn run(name: &str, input: Vec<Message>, status: &'static str) -> Vec<Message> {
    let (near, far) = tokio::io::duplex(4096);
    tokio::spawn(upper_case(Session::server(far), status));
    let (client, server) = tokio::io::duplex(4096);
    let server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
    let protocol = negotiate(&[name.to_owned()]).unwrap();
    let options = Options {
        stdin: true,
        stdout: true,
        ..Options::default()
    };
    let served = tokio::spawn(bridge(server, protocol, Session::client(near), options));
    let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    for message in input {
        client.send(message).await.unwrap();
    }
    let mut output = Vec::new();
    while let Some(Ok(message)) = client.next().await {
        output.push(message);
    }
    served.await.unwrap();
    output
}

fn binary(bytes: &'static [u8]) -> Message {
    Message::Binary(Bytes::from_static(bytes))
}

#[tokio::test]
async fn v5_closes_stdin_and_gets_the_status_after_the_output() {
    let status = r#"{"status":"Failure"}"#;
    let output = run("v5.channel.k8s.io", vec![binary(b"\0abc"), binary(b"\xff\0")], status).await;
    assert_eq!(
        output,
        vec![
            binary(b"\x01"),
            binary(b"\x01ABC"),
            binary(b"\x03{\"status\":\"Failure\"}"),
            close(CloseCode::Normal),
        ]
    );
}

/// Bytes of a test that must not fit into any buffer on the way.
const MEGABYTES: usize = 8 * 1024 * 1024;

#[tokio::test]
async fn megabytes_flow_both_ways_at_once_though_neither_side_reads_ahead() {
    let (near, far) = tokio::io::duplex(4096);
    let server = tokio::spawn(async move {
        let mut session = Session::server(far);
        let (mut stdin, mut stdout, mut error) = (None, None, None);
        while stdin.is_none() || stdout.is_none() || error.is_none() {
            let stream = session.accept().await.unwrap();
            match stream.header("streamtype").unwrap() {
                "stdin" => stdin = Some(stream),
                "stdout" => stdout = Some(stream),
                _ => error = Some(stream),
            }
        }
        let (mut stdin, stdout) = (stdin.unwrap(), stdout.unwrap().writer());
        let mut total = 0;
        while let Some(data) = stdin.read().await {
            total += data.len();
            stdout.write(data).await.unwrap();
        }
        stdout.finish().await.unwrap();
        error.unwrap().writer().finish().await.unwrap();
        total
    });
    let (client, socket) = tokio::io::duplex(4096);
    let socket = WebSocketStream::from_raw_socket(socket, Role::Server, None).await;
    let options = Options {
        stdin: true,
        stdout: true,
        ..Options::default()
    };
    let protocol = negotiate(&["v5.channel.k8s.io".to_owned()]).unwrap();
    let served = tokio::spawn(bridge(socket, protocol, Session::client(near), options));
    let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    let (mut sink, mut messages) = client.split();
    let writer = tokio::spawn(async move {
        let mut chunk = vec![7u8; 64 * 1024 + 1];
        chunk[0] = STDIN;
        for _ in 0..MEGABYTES / (64 * 1024) {
            sink.send(Message::Binary(chunk.clone().into())).await.unwrap();
        }
        sink.send(binary(b"\xff\0")).await.unwrap();
        sink
    });
    let mut echoed = 0;
    let mut status = Bytes::new();
    while let Some(Ok(message)) = messages.next().await {
        if let Message::Binary(data) = message {
            match data[0] {
                STDOUT => echoed += data.len() - 1,
                _ => status = data.slice(1..),
            }
        }
    }
    assert_eq!((server.await.unwrap(), echoed), (MEGABYTES, MEGABYTES));
    assert!(status.starts_with(br#"{"metadata":{},"status":"Success"}"#));
    drop(writer.await.unwrap());
    served.await.unwrap();
}

#[tokio::test]
async fn a_server_that_dies_is_a_failure_not_a_success() {
    let (near, far) = tokio::io::duplex(4096);
    tokio::spawn(async move {
        let mut session = Session::server(far);
        let mut streams = vec![];
        while streams.len() < 2 {
            streams.push(session.accept().await.unwrap());
        }
        let stdout = streams
            .iter()
            .find(|s| s.header("streamtype") == Some("stdout"))
            .unwrap();
        stdout.writer().write(Bytes::from_static(b"half")).await.unwrap();
    });
    let (client, socket) = tokio::io::duplex(4096);
    let socket = WebSocketStream::from_raw_socket(socket, Role::Server, None).await;
    let options = Options {
        stdout: true,
        ..Options::default()
    };
    let protocol = negotiate(&["v4.channel.k8s.io".to_owned()]).unwrap();
    tokio::spawn(bridge(socket, protocol, Session::client(near), options));
    let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    let output: Vec<Message> = client.filter_map(|m| async { m.ok() }).collect().await;
    assert_eq!(output[1], binary(b"\x01half"));
    let status = output[2].to_string();
    assert!(status.contains(r#""status":"Failure""#), "{status}");
    assert_eq!(output[3], close(CloseCode::Normal));
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_commands_streams() {
    let (near, far) = tokio::io::duplex(4096);
    let gone = tokio::spawn(async move {
        let mut session = Session::server(far);
        let mut streams = vec![];
        while streams.len() < 3 {
            streams.push(session.accept().await.unwrap());
        }
        let mut stdin = streams
            .into_iter()
            .find(|s| s.header("streamtype") == Some("stdin"))
            .unwrap();
        while stdin.read().await.is_some() {}
        stdin.finished()
    });
    let (client, socket) = tokio::io::duplex(4096);
    let socket = WebSocketStream::from_raw_socket(socket, Role::Server, None).await;
    let options = Options {
        stdin: true,
        stdout: true,
        ..Options::default()
    };
    let protocol = negotiate(&["v5.channel.k8s.io".to_owned()]).unwrap();
    let served = tokio::spawn(bridge(socket, protocol, Session::client(near), options));
    let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    client.send(binary(b"\0abc")).await.unwrap();
    drop(client);
    served.await.unwrap();
    // Cut, not closed: the runtime sees a client that went away, not one that said EOF.
    assert!(!gone.await.unwrap());
}

#[test]
fn negotiation_follows_the_client_and_knows_the_old_names() {
    let offer = |names: &[&str]| negotiate(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).map(|p| p.name);
    assert_eq!(offer(&[]), Some(""));
    assert_eq!(
        offer(&["v9", "v4.channel.k8s.io", "v5.channel.k8s.io"]),
        Some("v4.channel.k8s.io")
    );
    assert_eq!(offer(&["v9"]), None);
}

#[test]
fn old_protocols_get_no_success_and_only_the_message_of_a_failure() {
    let protocol = WireProtocol { name: "channel.k8s.io" };
    assert_eq!(protocol.status(b""), None);
    assert_eq!(protocol.status(br#"{"status":"Success"}"#), None);
    assert_eq!(
        protocol.status(br#"{"status":"Failure","message":"exit 1"}"#),
        Some(Bytes::from_static(b"exit 1"))
    );
    assert_eq!(
        WireProtocol {
            name: "v4.channel.k8s.io"
        }
        .status(b"")
        .unwrap()[..1],
        *b"{"
    );
}

#[test]
fn base64_messages_carry_the_channel_as_a_digit() {
    let protocol = WireProtocol {
        name: "base64.channel.k8s.io",
    };
    let message = protocol.message(STDOUT, b"hi");
    assert_eq!(message, Message::Text("1aGk=".into()));
    assert_eq!(
        protocol.parse(&Message::Text("0aGk=".into())),
        Some(Incoming::Data(0, Bytes::from_static(b"hi")))
    );
}

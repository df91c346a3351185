use std::{fs, io::Write as _};

use futures::StreamExt as _;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::oneshot;

use super::{options::Stream, *};

const LOG: &str = "\
2026-01-01T00:00:01.000000001Z stdout F one
2026-01-01T00:00:02.000000002Z stderr F two
2026-01-01T00:00:03.000000003Z stdout P thr
2026-01-01T00:00:04.000000004Z stdout F ee
2026-01-01T00:00:05.000000005Z stdout F 
";

async fn read(options: LogOptions) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    fs::write(&path, LOG).unwrap();
    collect(stream(path, options, async {})).await
}

async fn collect(mut pieces: ReceiverStream<io::Result<Bytes>>) -> String {
    let mut text = String::new();
    while let Some(piece) = pieces.next().await {
        text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
    }
    text
}

#[tokio::test]
async fn whole_log_joins_partial_lines() {
    assert_eq!(read(LogOptions::default()).await, "one\ntwo\nthree\n\n");
}

#[tokio::test]
async fn options_choose_and_decorate() {
    let read = |options| read(options);
    let tail = LogOptions {
        tail_lines: Some(2),
        ..LogOptions::default()
    };
    assert_eq!(read(tail).await, "ee\n\n", "lines are counted as they are stored");
    assert_eq!(
        read(LogOptions {
            tail_lines: Some(0),
            ..LogOptions::default()
        })
        .await,
        ""
    );
    assert_eq!(
        read(LogOptions {
            tail_lines: Some(99),
            ..LogOptions::default()
        })
        .await,
        "one\ntwo\nthree\n\n"
    );
    assert_eq!(
        read(LogOptions {
            limit_bytes: Some(5),
            ..LogOptions::default()
        })
        .await,
        "one\nt"
    );
    assert_eq!(
        read(LogOptions {
            stream: Stream::Stderr,
            ..LogOptions::default()
        })
        .await,
        "two\n"
    );
    let since = Some("2026-01-01T00:00:02Z".parse::<Timestamp>().unwrap());
    assert_eq!(
        read(LogOptions {
            since,
            ..LogOptions::default()
        })
        .await,
        "two\nthree\n\n"
    );
    let timestamps = LogOptions {
        timestamps: true,
        tail_lines: Some(3),
        ..LogOptions::default()
    };
    assert_eq!(
        read(timestamps).await,
        "2026-01-01T00:00:03.000000003Z three\n2026-01-01T00:00:05.000000005Z \n"
    );
}

#[tokio::test]
async fn follow_goes_on_through_rotation_until_the_container_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let entry = |text: &str| format!("2026-01-01T00:00:01Z stdout F {text}\n");
    fs::write(&path, entry("first")).unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let options = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let mut pieces = stream(path.clone(), options, async {
        ended.await.ok();
    });
    let mut next = async || String::from_utf8(pieces.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert_eq!(next().await, "first\n");
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(entry("second").as_bytes())
        .unwrap();
    assert_eq!(next().await, "second\n");
    fs::rename(&path, dir.path().join("0.log.rotated")).unwrap();
    fs::write(dir.path().join("new"), entry("third")).unwrap();
    fs::rename(dir.path().join("new"), &path).unwrap();
    assert_eq!(next().await, "third\n");
    end.send(()).unwrap();
    assert!(pieces.next().await.is_none());
}

#[tokio::test]
async fn missing_file_is_an_error_and_garbage_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut missing = stream(dir.path().join("none"), LogOptions::default(), async {});
    assert!(missing.next().await.unwrap().is_err());
    let path = dir.path().join("0.log");
    fs::write(&path, "garbage\n2026-01-01T00:00:01Z stdout F good\n\n\u{0}\u{1}").unwrap();
    assert_eq!(collect(stream(path, LogOptions::default(), async {})).await, "good\n");
}

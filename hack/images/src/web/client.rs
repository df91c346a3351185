//! An HTTP/1.1 client that is just enough to ask a Service a question from inside a pod.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Prints the body of each `http://host[:port]/path`; exit code 22 (curl's) when one is not 2xx.
pub(crate) fn get(urls: &[String]) -> io::Result<u8> {
    let mut code = 0;
    for url in urls {
        let (status, body) = fetch(url)?;
        io::stdout().write_all(&body)?;
        if !(200..300).contains(&status) {
            code = 22;
        }
    }
    Ok(code)
}

/// Succeeds when a TCP connection to `host:port` is accepted.
pub(crate) fn check(args: &[String]) -> io::Result<u8> {
    let target = args.first().ok_or_else(|| io::Error::other("usage: check HOST:PORT"))?;
    connect(target)?;
    Ok(0)
}

fn fetch(url: &str) -> io::Result<(u16, Vec<u8>)> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| io::Error::other("only http:// is spoken here"))?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let target = if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut stream = connect(&target)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let split = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or_else(|| io::Error::other("no HTTP answer"))?;
    let status = std::str::from_utf8(&answer[..split])
        .ok()
        .and_then(|head| head.split(' ').nth(1)?.parse().ok())
        .ok_or_else(|| io::Error::other("no HTTP status"))?;
    Ok((status, answer.split_off(split + 4)))
}

fn connect(target: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::other("no address");
    for address in target.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

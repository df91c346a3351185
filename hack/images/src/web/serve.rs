//! A thread-per-connection HTTP/1.1 server: `/` answers the host name, so that balancing shows;
//! `/healthz` and `/readyz` for probes, `/fail` to turn them red, `/file/PATH` and `/env/NAME`.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::exit,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use images::signals::Signals;

const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A request line or header longer than this ends the connection.
const LINE_LIMIT: usize = 8 * 1024;
const HEADER_LIMIT: usize = 100;

static FAILING: AtomicBool = AtomicBool::new(false);

struct Options {
    ready_at: Instant,
}

pub(crate) fn run(args: &[String]) -> io::Result<u8> {
    let mut port = 8080;
    let mut delay = 0;
    for pair in args.chunks(2) {
        let [flag, value] = pair else {
            return Err(io::Error::other(format!("{} needs a value", pair[0])));
        };
        let value: u16 = value.parse().map_err(|e| io::Error::other(format!("{value:?}: {e}")))?;
        match flag.as_str() {
            "--port" => port = value,
            "--delay-ready" => delay = value,
            _ => return Err(io::Error::other(format!("unknown flag {flag}"))),
        }
    }
    let options = Options {
        ready_at: Instant::now() + Duration::from_secs(delay.into()),
    };
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    writeln!(io::stdout(), "{} serves on port {port}", hostname())?;
    // A first process gets no default action for SIGTERM: without this, every stop would take the
    // whole grace period.
    let signals = Signals::block();
    thread::spawn(move || {
        signals.wait_for_end();
        exit(0);
    });
    thread::scope(|scope| {
        for stream in listener.incoming() {
            let stream = stream?;
            let options = &options;
            scope.spawn(move || {
                if let Err(error) = answer(stream, options) {
                    eprintln!("connection: {error}");
                }
            });
        }
        Ok(0)
    })
}

/// The pod's host name, as the kernel has it.
pub(crate) fn hostname() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

fn answer(mut stream: TcpStream, options: &Options) -> io::Result<()> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let request = line(&mut reader)?;
    for _ in 0..HEADER_LIMIT {
        if line(&mut reader)?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or("/");
    let (status, body) = respond(path, options);
    writeln!(io::stdout(), "{path} {status}")?;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

fn respond(path: &str, options: &Options) -> (&'static str, Vec<u8>) {
    const OK: &str = "200 OK";
    const NOT_FOUND: &str = "404 Not Found";
    const FAILED: &str = "500 Internal Server Error";
    let failing = FAILING.load(Ordering::Relaxed);
    match path {
        "/" | "/hostname" => (OK, format!("{}\n", hostname()).into_bytes()),
        "/healthz" if failing => (FAILED, b"failing\n".to_vec()),
        "/healthz" => (OK, b"ok\n".to_vec()),
        "/readyz" if failing || Instant::now() < options.ready_at => (FAILED, b"not ready\n".to_vec()),
        "/readyz" => (OK, b"ok\n".to_vec()),
        "/fail" => {
            FAILING.store(true, Ordering::Relaxed);
            (OK, b"failing from now on\n".to_vec())
        }
        _ => match (path.strip_prefix("/file"), path.strip_prefix("/env/")) {
            (Some(file), _) => fs::read(file).map_or((NOT_FOUND, Vec::new()), |body| (OK, body)),
            (_, Some(name)) => env::var(name).map_or((NOT_FOUND, Vec::new()), |value| (OK, value.into_bytes())),
            _ => (NOT_FOUND, Vec::new()),
        },
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    io::Read::take(reader, LINE_LIMIT as u64).read_until(b'\n', &mut bytes)?;
    if bytes.last() != Some(&b'\n') {
        return Err(io::Error::other("line too long or cut off"));
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

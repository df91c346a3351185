//! The small web and test image: one static binary with the commands that examples and the e2e
//! suite run inside containers, where there is no shell. It is not a shell and not a real server.
//!
//! `/bin/web COMMAND ARGS`, or by the name it is called with (`/bin/cat`, `/bin/sleep`, ...).

use std::{
    env, fs,
    io::{self, Read, Write},
    process::ExitCode,
    thread,
    time::Duration,
};

mod client;
mod serve;
mod tar;

/// Every command: name, arguments, what it does. The table is the dispatcher and the help.
type Command = (&'static str, &'static str, fn(&[String]) -> io::Result<u8>);
const COMMANDS: &[Command] = &[
    ("serve", "[--port N] [--delay-ready SECONDS]", serve::run),
    ("get", "URL...", client::get),
    ("check", "HOST:PORT", client::check),
    ("cat", "[FILE...]", cat),
    ("echo", "WORD...", echo),
    ("env", "", print_env),
    ("ls", "[DIR]", ls),
    ("sleep", "SECONDS", sleep),
    ("exit", "CODE", exit),
    ("write", "FILE WORD...", write),
    ("hostname", "", hostname),
    ("tar", "cf - PATH... | -xmf - [-C DIR]", tar::run),
    ("test", "-d PATH", test),
];

fn main() -> ExitCode {
    let mut args: Vec<String> = env::args().collect();
    let called = args.remove(0);
    let mut name = called.rsplit('/').next().unwrap_or_default().to_owned();
    if name == "web" && !args.is_empty() {
        name = args.remove(0);
    }
    let Some((_, _, run)) = COMMANDS.iter().find(|(command, ..)| *command == name) else {
        for (command, arguments, _) in COMMANDS {
            eprintln!("web {command} {arguments}");
        }
        return ExitCode::from(64);
    };
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::from(1)
        }
    }
}

fn cat(files: &[String]) -> io::Result<u8> {
    let mut out = io::stdout();
    if files.is_empty() {
        // Unbuffered on purpose: `kubectl exec -i` expects what it sent to come back at once.
        let mut buffer = [0; 64 * 1024];
        loop {
            match io::stdin().read(&mut buffer)? {
                0 => return Ok(0),
                n => out.write_all(&buffer[..n]).and_then(|()| out.flush())?,
            }
        }
    }
    for file in files {
        out.write_all(&fs::read(file)?)?;
    }
    Ok(0)
}

fn echo(words: &[String]) -> io::Result<u8> {
    writeln!(io::stdout(), "{}", words.join(" "))?;
    Ok(0)
}

fn print_env(_: &[String]) -> io::Result<u8> {
    for (name, value) in env::vars() {
        writeln!(io::stdout(), "{name}={value}")?;
    }
    Ok(0)
}

fn ls(dirs: &[String]) -> io::Result<u8> {
    let dir = dirs.first().map_or(".", String::as_str);
    let mut names: Vec<_> = fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<_>>()?;
    names.sort();
    for name in names {
        writeln!(io::stdout(), "{}", name.to_string_lossy())?;
    }
    Ok(0)
}

/// Sleeps; a container's first process ignores SIGTERM unless it handles it, so this one tests the
/// end of the grace period too.
fn sleep(args: &[String]) -> io::Result<u8> {
    let seconds = number(args.first())?;
    thread::sleep(Duration::from_secs(seconds));
    Ok(0)
}

fn exit(args: &[String]) -> io::Result<u8> {
    Ok(number(args.first())?.min(255) as u8)
}

fn write(args: &[String]) -> io::Result<u8> {
    let [file, words @ ..] = args else {
        return Err(io::Error::other("usage: write FILE WORD..."));
    };
    fs::write(file, words.join(" "))?;
    Ok(0)
}

fn hostname(_: &[String]) -> io::Result<u8> {
    writeln!(io::stdout(), "{}", serve::hostname())?;
    Ok(0)
}

/// `test -d PATH`, which `kubectl cp` asks before it copies into a container.
fn test(args: &[String]) -> io::Result<u8> {
    match args {
        [flag, path] if flag == "-d" => Ok(u8::from(!fs::metadata(path).is_ok_and(|facts| facts.is_dir()))),
        _ => Err(io::Error::other("usage: test -d PATH")),
    }
}

fn number(text: Option<&String>) -> io::Result<u64> {
    let text = text.ok_or_else(|| io::Error::other("a number is missing"))?;
    text.parse()
        .map_err(|error| io::Error::other(format!("{text:?}: {error}")))
}

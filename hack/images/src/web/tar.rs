//! As much of `tar` as `kubectl cp` asks of a container: `tar cf - PATH...` and `tar -xmf - [-C DIR]`, with regular
//! files, directories and symbolic links. The format is POSIX ustar; of pax records only `path`, `linkpath` and
//! `size` are read.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
};

const BLOCK: usize = 512;
/// Where a header's fields are: offset and length.
const NAME: (usize, usize) = (0, 100);
const MODE: (usize, usize) = (100, 8);
const SIZE: (usize, usize) = (124, 12);
const CHECKSUM: (usize, usize) = (148, 8);
const KIND: usize = 156;
const LINK: (usize, usize) = (157, 100);
const MAGIC: (usize, usize) = (257, 8);
const PREFIX: (usize, usize) = (345, 155);

/// `tar`: the letter c or x, and where to.
pub(crate) fn run(args: &[String]) -> io::Result<u8> {
    let (mut create, mut extract, mut dir) = (false, false, PathBuf::from("."));
    let mut paths = Vec::new();
    let mut words = args.iter().enumerate();
    while let Some((index, word)) = words.next() {
        match word.as_str() {
            "-C" => {
                let (_, given) = words.next().ok_or_else(|| io::Error::other("-C wants a directory"))?;
                dir = PathBuf::from(given);
            }
            "-" => {}
            long if long.starts_with("--") => {}
            letters if index == 0 || letters.starts_with('-') => {
                create |= letters.contains('c');
                extract |= letters.contains('x');
            }
            path => paths.push(PathBuf::from(path)),
        }
    }
    match (create, extract) {
        (true, false) => {
            let mut out = io::stdout().lock();
            for path in &paths {
                pack(path, &mut out)?;
            }
            out.write_all(&[0; 2 * BLOCK])?;
            out.flush()?;
        }
        (false, true) => unpack(&mut io::stdin().lock(), &dir)?,
        _ => return Err(io::Error::other("usage: tar cf - PATH... | tar xf - [-C DIR]")),
    }
    Ok(0)
}

/// Writes a path and what is below it.
fn pack(path: &Path, out: &mut impl Write) -> io::Result<()> {
    let facts = fs::symlink_metadata(path)?;
    let mode = facts.permissions().mode() & 0o7777;
    if facts.is_dir() {
        out.write_all(&header(path, '5', mode, 0, None)?)?;
        let mut entries: Vec<_> = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()?;
        entries.sort();
        return entries.iter().try_for_each(|entry| pack(entry, out));
    }
    if facts.is_symlink() {
        let target = fs::read_link(path)?;
        return out.write_all(&header(path, '2', mode, 0, Some(&target))?);
    }
    let mut file = File::open(path)?;
    out.write_all(&header(path, '0', mode, facts.len(), None)?)?;
    let copied = io::copy(&mut Read::by_ref(&mut file).take(facts.len()), out)?;
    if copied < facts.len() {
        return Err(io::Error::other(format!("{} became shorter", path.display())));
    }
    out.write_all(&vec![0; padding(facts.len())])
}

fn header(path: &Path, kind: char, mode: u32, size: u64, target: Option<&Path>) -> io::Result<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    // As tar does: names in an archive are relative.
    let shown = path.to_string_lossy();
    let mut name = shown.trim_start_matches('/').to_owned();
    if kind == '5' && !name.ends_with('/') {
        name.push('/');
    }
    // A long name is cut at a slash, its head goes to the prefix.
    let cut = (name.len() > NAME.1).then(|| {
        let at = name.len() - NAME.1 - 1;
        let tail = &name.as_bytes()[at..];
        tail.iter().position(|byte| *byte == b'/').map(|slash| at + slash)
    });
    let (prefix, rest) = match cut {
        None => ("", name.as_str()),
        Some(Some(at)) if at <= PREFIX.1 => (&name[..at], &name[at + 1..]),
        Some(_) => return Err(io::Error::other(format!("{shown}: the name is too long"))),
    };
    put(&mut block, NAME, rest)?;
    put(&mut block, PREFIX, prefix)?;
    put(&mut block, MODE, &format!("{mode:07o}"))?;
    put(&mut block, (108, 8), "0000000")?;
    put(&mut block, (116, 8), "0000000")?;
    put(&mut block, SIZE, &format!("{size:011o}"))?;
    put(&mut block, (136, 12), "00000000000")?;
    put(&mut block, LINK, &target.unwrap_or(Path::new("")).to_string_lossy())?;
    put(&mut block, MAGIC, "ustar\u{0}00")?;
    block[KIND] = kind as u8;
    put(&mut block, CHECKSUM, "        ")?;
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    put(&mut block, CHECKSUM, &format!("{sum:06o}\u{0} "))?;
    Ok(block)
}

fn put(block: &mut [u8; BLOCK], (at, len): (usize, usize), text: &str) -> io::Result<()> {
    let field = &mut block[at..at + len];
    let text = text.as_bytes();
    if text.len() > len {
        return Err(io::Error::other("a field of a tar header is too long"));
    }
    field[..text.len()].copy_from_slice(text);
    Ok(())
}

/// Reads an archive to its end and makes what it says below `dir`.
fn unpack(from: &mut impl Read, dir: &Path) -> io::Result<()> {
    let (mut long_name, mut long_target, mut long_size) = (None, None, None);
    loop {
        let mut block = [0; BLOCK];
        match from.read_exact(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            other => other?,
        }
        if block.iter().all(|&byte| byte == 0) {
            break;
        }
        let kind = block[KIND];
        let size = match (kind, long_size.take()) {
            (b'x' | b'g', _) | (_, None) => octal(&block, SIZE)?,
            (_, Some(size)) => size,
        };
        if kind == b'x' || kind == b'g' {
            let mut records = vec![0; usize::try_from(size).map_err(io::Error::other)?];
            from.read_exact(&mut records)?;
            skip(from, padding(size) as u64)?;
            if kind == b'x' {
                let value = |key: &str| record(&records, key);
                (long_name, long_target) = (value("path"), value("linkpath"));
                long_size = value("size").and_then(|text| text.parse().ok());
            }
            continue;
        }
        let name = long_name.take().unwrap_or_else(|| {
            let (prefix, name) = (text(&block, PREFIX), text(&block, NAME));
            if prefix.is_empty() {
                name
            } else {
                format!("{prefix}/{name}")
            }
        });
        let target = long_target.take().unwrap_or_else(|| text(&block, LINK));
        let mode = octal(&block, MODE)?;
        place(from, &inside(dir, &name)?, kind, mode as u32, size, &target)?;
        skip(from, padding(size) as u64)?;
    }
    // A sender that still pads must not find its pipe closed.
    io::copy(from, &mut io::sink())?;
    Ok(())
}

fn place(from: &mut impl Read, path: &Path, kind: u8, mode: u32, size: u64, target: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match kind {
        b'5' => fs::create_dir_all(path),
        b'2' => {
            if fs::symlink_metadata(path).is_ok() {
                fs::remove_file(path)?;
            }
            symlink(target, path)
        }
        b'0' | 0 => {
            let mut file = File::create(path)?;
            if io::copy(&mut Read::by_ref(from).take(size), &mut file)? < size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))
        }
        _ => skip(from, size),
    }
}

/// The name below `dir`, which it must not leave.
fn inside(dir: &Path, name: &str) -> io::Result<PathBuf> {
    let mut path = dir.to_owned();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::RootDir | Component::CurDir => {}
            _ => return Err(io::Error::other(format!("{name}: leaves the directory"))),
        }
    }
    Ok(path)
}

fn skip(from: &mut impl Read, bytes: u64) -> io::Result<()> {
    io::copy(&mut from.take(bytes), &mut io::sink()).map(|_| ())
}

/// What fills the last block of a file.
fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

fn text(block: &[u8; BLOCK], (at, len): (usize, usize)) -> String {
    let field = &block[at..at + len];
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(len);
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn octal(block: &[u8; BLOCK], field: (usize, usize)) -> io::Result<u64> {
    let digits = text(block, field);
    let digits = digits.trim();
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 8).map_err(io::Error::other)
}

/// The value of a pax record (`LENGTH KEY=VALUE\n`).
fn record(records: &[u8], key: &str) -> Option<String> {
    let mut rest = records;
    while !rest.is_empty() {
        let space = rest.iter().position(|&byte| byte == b' ')?;
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let entry = rest.get(space + 1..length.checked_sub(1)?)?;
        let equals = entry.iter().position(|&byte| byte == b'=')?;
        if &entry[..equals] == key.as_bytes() {
            return Some(String::from_utf8_lossy(&entry[equals + 1..]).into_owned());
        }
        rest = &rest[length..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("corten-tar-{name}-{}", std::process::id()));
        fs::remove_dir_all(&dir).ok();
        fs::create_dir_all(&dir).expect("a scratch directory");
        dir
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let dir = scratch("round");
        let long = "d".repeat(90);
        fs::create_dir_all(dir.join("from").join(&long)).expect("a directory");
        fs::write(dir.join("from/empty"), "").expect("a file");
        fs::write(dir.join("from/script"), vec![7; 1300]).expect("a file");
        fs::set_permissions(dir.join("from/script"), fs::Permissions::from_mode(0o755)).expect("a mode");
        fs::write(dir.join("from").join(&long).join("leaf-with-a-name-of-its-own"), "leaf").expect("a file");
        symlink("script", dir.join("from/link")).expect("a link");
        let mut archive = Vec::new();
        pack(&dir.join("from"), &mut archive).expect("packing");
        archive.extend([0; 2 * BLOCK]);
        assert_eq!(archive.len() % BLOCK, 0);
        unpack(&mut archive.as_slice(), &dir.join("to")).expect("unpacking");
        let there = dir
            .join("to")
            .join(dir.strip_prefix("/").expect("an absolute path"))
            .join("from");
        assert_eq!(fs::read(there.join("empty")).expect("read"), b"");
        assert_eq!(fs::read(there.join("script")).expect("read"), vec![7; 1300]);
        let mode = fs::metadata(there.join("script")).expect("facts").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        assert_eq!(fs::read_link(there.join("link")).expect("a link"), Path::new("script"));
        let leaf = there.join(&long).join("leaf-with-a-name-of-its-own");
        assert_eq!(fs::read(leaf).expect("read"), b"leaf");
        fs::remove_dir_all(dir).expect("cleaning up");
    }

    #[test]
    fn a_long_name_is_cut_whatever_its_letters_are() {
        // One more byte at a time: the place to cut is in the middle of a letter now and then.
        for filler in 0..4 {
            let name = format!("{}{}/{}", "x".repeat(filler), "ü".repeat(40), "é".repeat(45));
            let block = header(Path::new(&name), '0', 0o644, 0, None).expect("a header");
            assert_eq!(format!("{}/{}", text(&block, PREFIX), text(&block, NAME)), name);
        }
    }

    #[test]
    fn long_names_come_in_pax_records_and_none_leaves_the_directory() {
        let dir = scratch("pax");
        let long = format!("{}/file", "n".repeat(200));
        let body = format!("path={long}\n");
        // The length counts its own digits and the space.
        let body = format!("{} {body}", body.len() + 4);
        let mut archive = Vec::new();
        archive.extend(header(Path::new("PaxHeaders"), 'x', 0o644, body.len() as u64, None).expect("a header"));
        archive.extend(body.as_bytes());
        archive.extend(vec![0; padding(body.len() as u64)]);
        archive.extend(header(Path::new("cut"), '0', 0o644, 2, None).expect("a header"));
        archive.extend(b"hi");
        archive.extend(vec![0; padding(2)]);
        unpack(&mut archive.as_slice(), &dir).expect("unpacking");
        assert_eq!(fs::read(dir.join(long)).expect("read"), b"hi");
        let evil = header(Path::new("../evil"), '5', 0o755, 0, None).expect("a header");
        assert!(unpack(&mut evil.as_slice(), &dir).is_err());
        fs::remove_dir_all(dir).expect("cleaning up");
    }
}

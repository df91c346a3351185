//! `xtask image`: an image archive (the docker-archive layout, which `ctr images import` reads) of
//! one layer made from files of this machine. The same input gives the same bytes.

use std::{fs, io::Write, path::PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// What goes into the image.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name and tag, such as `docker.io/corten/web:1`.
    #[arg(long)]
    name: String,
    /// Archive to write.
    #[arg(long)]
    output: PathBuf,
    /// `IMAGE_PATH=FILE`: an executable.
    #[arg(long = "file", required = true)]
    files: Vec<String>,
    /// `IMAGE_PATH=TARGET`: a symbolic link.
    #[arg(long = "link")]
    links: Vec<String>,
    /// The entrypoint, one word each.
    #[arg(long, required = true)]
    entrypoint: Vec<String>,
    /// Default arguments.
    #[arg(long)]
    cmd: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let layer = layer(args)?;
    let diff_id = format!("sha256:{:x}", Sha256::digest(&layer));
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Entrypoint": args.entrypoint,
            "Cmd": args.cmd,
            "Env": ["PATH=/bin"],
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "xtask image"}],
    })
    .to_string();
    let config_name = format!("{:x}.json", Sha256::digest(config.as_bytes()));
    let manifest = json!([{"Config": config_name, "RepoTags": [args.name], "Layers": ["layer.tar"]}]).to_string();

    let mut archive = Builder::new(Vec::new());
    for (name, bytes) in [
        (config_name.as_str(), config.as_bytes()),
        ("layer.tar", &layer),
        ("manifest.json", manifest.as_bytes()),
    ] {
        append(&mut archive, name, bytes, 0o644)?;
    }
    let bytes = archive.into_inner()?;
    fs::File::create(&args.output)
        .and_then(|mut file| file.write_all(&bytes))
        .with_context(|| format!("writing {}", args.output.display()))
}

fn layer(args: &Args) -> Result<Vec<u8>> {
    let mut layer = Builder::new(Vec::new());
    // Mode 1777 as everywhere: images without /tmp surprise programs.
    for (dir, mode) in [("bin/", 0o755), ("etc/", 0o755), ("tmp/", 0o1777)] {
        let mut header = header(0, mode);
        header.set_entry_type(EntryType::Directory);
        layer.append_data(&mut header, dir, std::io::empty())?;
    }
    for pair in &args.files {
        let (path, source) = split(pair)?;
        let bytes = fs::read(source).with_context(|| format!("reading {source}"))?;
        append(&mut layer, path, &bytes, 0o755)?;
    }
    for pair in &args.links {
        let (path, target) = split(pair)?;
        let mut header = header(0, 0o777);
        header.set_entry_type(EntryType::Symlink);
        layer.append_link(&mut header, path, target)?;
    }
    Ok(layer.into_inner()?)
}

fn split(pair: &str) -> Result<(&str, &str)> {
    let (path, value) = pair.split_once('=').with_context(|| format!("{pair:?} has no '='"))?;
    ensure!(path.starts_with('/'), "{path:?} is not absolute");
    Ok((path.trim_start_matches('/'), value))
}

fn append(archive: &mut Builder<Vec<u8>>, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
    archive
        .append_data(&mut header(bytes.len() as u64, mode), name, bytes)
        .with_context(|| format!("adding {name}"))
}

fn header(size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header
}

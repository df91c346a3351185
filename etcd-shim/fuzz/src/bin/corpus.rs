//! Writes what fuzzing begins with: `corpus <directory>` makes a folder for each target.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let directory = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| "corpus".into()));
    for (number, (target, bytes)) in etcd_shim::fuzz::corpus().into_iter().enumerate() {
        let folder = directory.join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("real-{number}")), bytes)?;
    }
    Ok(())
}

//! Fuzzing of etcd-shim: one program a target, which `hack/proofs.sh` builds with `--cfg fuzzing` and the coverage
//! libFuzzer needs. Built as usual each one runs its target on the files it is given, so that what was found can be
//! seen again without any of it.
//!
//! It is not: a part of any image, or of what others may depend on. The targets are in `etcd-shim/src/fuzz.rs`.

/// The program of a target.
#[macro_export]
macro_rules! program {
    ($target:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $target(bytes));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            $crate::replay($target)
        }
    };
}

/// Runs a target on the files named on the command line.
///
/// # Errors
/// When one cannot be read.
pub fn replay(target: fn(&[u8])) -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        target(&std::fs::read(path)?);
    }
    Ok(())
}

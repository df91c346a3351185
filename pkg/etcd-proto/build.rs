//! Compiles `proto/*.proto` in pure Rust (protox), so that no `protoc` is needed to build Corten.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["rpc.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        // Keys and values stay slices of the receive buffer: no copy between wire and store.
        .bytes(".")
        .compile_fds(files)?;
    Ok(())
}

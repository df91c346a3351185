//! Compiles the CRI subset with protox, so that no protoc is needed.

fn main() {
    let descriptors = protox::compile(["runtime/v1/api.proto"], ["proto"]).expect("the committed .proto file compiles");
    tonic_prost_build::configure()
        .compile_fds(descriptors)
        .expect("code for the committed .proto file can be written to OUT_DIR");
}

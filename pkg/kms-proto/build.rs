//! Compiles the key management service with protox, so that no protoc is needed.

fn main() {
    let descriptors =
        protox::compile(["kms/v2.proto", "stored.proto"], ["proto"]).expect("the committed .proto files compile");
    tonic_prost_build::configure()
        // Annotations are compared and hashed in the order of their names.
        .btree_map(".")
        .compile_fds(descriptors)
        .expect("code for the committed .proto files can be written to OUT_DIR");
}

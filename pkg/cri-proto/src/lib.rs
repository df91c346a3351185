//! cri-proto.

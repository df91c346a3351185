//! testserver.

//! apimachinery.

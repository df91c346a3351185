//! component.

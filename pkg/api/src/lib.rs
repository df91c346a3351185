//! api.

pub mod schema;

pub use schema::schema;

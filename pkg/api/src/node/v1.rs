//! node/v1.

pub mod defaults;
pub mod labels;
pub mod validation;
pub mod warnings;

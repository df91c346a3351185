//! Defaults of policy/v1: there are none.

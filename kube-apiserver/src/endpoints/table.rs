//! (owner: APISERVER-AUTH)

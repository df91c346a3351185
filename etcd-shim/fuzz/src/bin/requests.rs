//! Fuzzes `etcd_shim::fuzz::requests`.
#![cfg_attr(fuzzing, no_main)]
#![cfg_attr(fuzzing, allow(unsafe_code))] // How libFuzzer finds its target.

etcd_shim_fuzz::program!(etcd_shim::fuzz::requests);

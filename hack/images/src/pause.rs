//! The process of a pod's sandbox: it holds the namespaces, reaps orphans and ends on SIGINT or
//! SIGTERM. It is not an init system: it starts nothing and forwards nothing.

fn main() {
    images::signals::Signals::block().wait_for_end();
}

//! What a client may rely on. Every case runs against this server and, so that the cases themselves are
//! right, against etcd. A case uses keys under a prefix of its own and revisions relative to the present.

mod client;
mod kv;
mod lease;
mod watch;

use std::future::Future;
use std::pin::Pin;

use crate::endpoint;
use client::Client;

type Case = (&'static str, fn(Client) -> Pin<Box<dyn Future<Output = ()>>>);

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        const CASES: &[Case] = &[$((stringify!($name), |client| Box::pin($module::$name(client)))),*];

        // One test a case, so that a failure has a name.
        mod shim {
            $(#[tokio::test]
            async fn $name() {
                let server = crate::endpoint::shim().await;
                super::$module::$name(super::Client::new(&server, stringify!($name))).await;
            })*
        }

        mod shim_on_the_log {
            $(#[tokio::test]
            async fn $name() {
                let server = crate::endpoint::shim_on_disk(etcd_shim::EngineKind::Log).await;
                super::$module::$name(super::Client::new(&server, stringify!($name))).await;
            })*
        }
    };
}

cases![
    kv::a_put_is_read_back_with_its_revisions,
    kv::a_range_is_ordered_limited_and_counted,
    kv::old_revisions_can_be_read_until_compacted,
    kv::ranges_sort_and_filter,
    kv::a_delete_answers_with_what_was_there,
    kv::a_transaction_takes_one_branch_and_one_revision,
    kv::a_transaction_that_changes_nothing_keeps_the_revision,
    kv::every_compare_target_works,
    kv::nested_transactions_compare_the_state_before,
    kv::bad_requests_are_refused_with_etcds_words,
    kv::large_requests_are_refused,
    kv::large_responses_are_not,
    kv::ignore_value_and_ignore_lease_keep_them,
    watch::events_come_with_what_was_before,
    watch::history_is_replayed,
    watch::a_transaction_is_one_response,
    watch::filters_leave_out,
    watch::a_cancelled_watch_says_so,
    watch::progress_is_answered_for_the_whole_stream,
    watch::a_compacted_start_is_cancelled,
    lease::a_lease_that_ends_deletes_its_keys_with_events,
    lease::a_revoked_lease_deletes_its_keys_in_one_revision,
    lease::keep_alive_answers_with_the_time_to_live,
    lease::unknown_leases_are_named,
];

#[tokio::test]
async fn etcd_keeps_the_same_contract() {
    let server = endpoint::etcd().await;
    for (name, case) in CASES {
        eprintln!("{name}");
        let case = case(Client::new(&server, name));
        tokio::time::timeout(std::time::Duration::from_secs(60), case)
            .await
            .expect(name);
    }
}

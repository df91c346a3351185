//! Put, Range, DeleteRange, Txn, Compact.

use etcd_proto::errors::{self, WireError};
use etcd_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use etcd_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use etcd_proto::etcdserverpb::request_op::Request;
use etcd_proto::etcdserverpb::response_op::Response;
use etcd_proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest, TxnResponse,
};
use tonic::Status;

use super::client::{Client, op};

pub(crate) async fn a_put_is_read_back_with_its_revisions(client: Client) {
    let first = client.put("a", "1").await;
    let second = client.put("a", "2").await;
    assert_eq!(second, first + 1);
    let response = client
        .range(RangeRequest {
            key: client.key("a"),
            ..Default::default()
        })
        .await;
    let kv = &response.kvs[0];
    assert_eq!(
        (kv.create_revision, kv.mod_revision, kv.version, kv.lease),
        (first, second, 2, 0)
    );
    assert_eq!(
        (response.count, response.more, response.header.unwrap().revision),
        (1, false, second)
    );
    let none = client
        .range(RangeRequest {
            key: client.key("none"),
            ..Default::default()
        })
        .await;
    assert_eq!(
        (none.kvs.len(), none.count, none.header.unwrap().revision),
        (0, 0, second)
    );
}

pub(crate) async fn a_range_is_ordered_limited_and_counted(client: Client) {
    for name in ["c", "a", "b", "d"] {
        client.put(name, name).await;
    }
    let page = client
        .range(RangeRequest {
            limit: 2,
            ..client.all()
        })
        .await;
    assert_eq!(
        (client.pairs(&page), page.more, page.count),
        (vec!["a=a".into(), "b=b".into()], true, 4)
    );
    let mut next = page.kvs[1].key.to_vec();
    next.push(0);
    let rest = client
        .range(RangeRequest {
            key: next.into(),
            limit: 2,
            ..client.all()
        })
        .await;
    assert_eq!(
        (client.pairs(&rest), rest.more, rest.count),
        (vec!["c=c".into(), "d=d".into()], false, 2)
    );
    let count = client
        .range(RangeRequest {
            count_only: true,
            ..client.all()
        })
        .await;
    assert_eq!((count.kvs.len(), count.count), (0, 4));
    let keys = client
        .range(RangeRequest {
            keys_only: true,
            ..client.all()
        })
        .await;
    assert_eq!(client.pairs(&keys), ["a=", "b=", "c=", "d="]);
    let from = client
        .range(RangeRequest {
            key: client.key("c"),
            range_end: vec![0].into(),
            limit: 1,
            ..Default::default()
        })
        .await;
    assert_eq!(client.pairs(&from), ["c=c"]);
}

pub(crate) async fn old_revisions_can_be_read_until_compacted(client: Client) {
    let first = client.put("a", "1").await;
    client.put("a", "2").await;
    let third = client.delete("a").await;
    let at = |revision| RangeRequest {
        revision,
        ..client.all()
    };
    assert_eq!(client.pairs(&client.range(at(first)).await), ["a=1"]);
    assert_eq!(client.pairs(&client.range(at(first + 1)).await), ["a=2"]);
    assert!(client.range(at(third)).await.kvs.is_empty());
    let mut kv = client.kv.clone();
    refused(kv.range(at(third + 1)).await, errors::FUTURE_REVISION);
    refused(
        kv.compact(CompactionRequest {
            revision: third + 1,
            physical: false,
        })
        .await,
        errors::FUTURE_REVISION,
    );
    kv.compact(CompactionRequest {
        revision: first + 1,
        physical: true,
    })
    .await
    .unwrap();
    refused(kv.range(at(first)).await, errors::COMPACTED);
    assert_eq!(client.pairs(&client.range(at(first + 1)).await), ["a=2"]);
    refused(
        kv.compact(CompactionRequest {
            revision: first + 1,
            physical: false,
        })
        .await,
        errors::COMPACTED,
    );
}

pub(crate) async fn ranges_sort_and_filter(client: Client) {
    for (name, value) in [("a", "3"), ("b", "1"), ("c", "2"), ("a", "3")] {
        client.put(name, value).await;
    }
    let sorted = |target: SortTarget, order: SortOrder| RangeRequest {
        sort_target: target.into(),
        sort_order: order.into(),
        ..client.all()
    };
    let by_value = client.range(sorted(SortTarget::Value, SortOrder::Ascend)).await;
    assert_eq!(client.pairs(&by_value), ["b=1", "c=2", "a=3"]);
    let by_mod = client
        .range(RangeRequest {
            limit: 1,
            ..sorted(SortTarget::Mod, SortOrder::Descend)
        })
        .await;
    assert_eq!((client.pairs(&by_mod), by_mod.more), (vec!["a=3".into()], true));
    let by_create = client.range(sorted(SortTarget::Create, SortOrder::None)).await;
    assert_eq!(client.pairs(&by_create), ["a=3", "b=1", "c=2"]);
    let by_key = client.range(sorted(SortTarget::Key, SortOrder::Descend)).await;
    assert_eq!(client.pairs(&by_key), ["c=2", "b=1", "a=3"]);
    let b = by_value.kvs[0].mod_revision;
    let filtered = client
        .range(RangeRequest {
            min_mod_revision: b,
            max_mod_revision: b + 1,
            ..client.all()
        })
        .await;
    assert_eq!(client.pairs(&filtered), ["b=1", "c=2"]);
    let filtered = client
        .range(RangeRequest {
            max_create_revision: b - 1,
            ..client.all()
        })
        .await;
    assert_eq!(client.pairs(&filtered), ["a=3"]);
}

pub(crate) async fn a_delete_answers_with_what_was_there(client: Client) {
    for name in ["a", "b", "c"] {
        client.put(name, name).await;
    }
    let before = client.put("d", "d").await;
    let request = DeleteRangeRequest {
        key: client.key("a"),
        range_end: client.key("c"),
        prev_kv: true,
    };
    let response = client
        .kv
        .clone()
        .delete_range(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!((response.deleted, response.prev_kvs.len()), (2, 2));
    assert_eq!(response.header.unwrap().revision, before + 1);
    let again = client.kv.clone().delete_range(request).await.unwrap().into_inner();
    assert_eq!((again.deleted, again.header.unwrap().revision), (0, before + 1));
    assert_eq!(client.pairs(&client.range(client.all()).await), ["c=c", "d=d"]);
}

fn mod_is(client: &Client, name: &str, revision: i64) -> Compare {
    compare(
        client,
        name,
        CompareTarget::Mod,
        CompareResult::Equal,
        TargetUnion::ModRevision(revision),
    )
}

fn compare(client: &Client, name: &str, target: CompareTarget, result: CompareResult, to: TargetUnion) -> Compare {
    Compare {
        key: client.key(name),
        target: target.into(),
        result: result.into(),
        target_union: Some(to),
        ..Default::default()
    }
}

async fn txn(client: &Client, compare: Vec<Compare>, success: Vec<Request>, failure: Vec<Request>) -> TxnResponse {
    let ops = |requests: Vec<Request>| requests.into_iter().map(op).collect();
    let request = TxnRequest {
        compare,
        success: ops(success),
        failure: ops(failure),
    };
    client.kv.clone().txn(request).await.unwrap().into_inner()
}

fn get(client: &Client, name: &str) -> Request {
    Request::RequestRange(RangeRequest {
        key: client.key(name),
        ..Default::default()
    })
}

pub(crate) async fn a_transaction_takes_one_branch_and_one_revision(client: Client) {
    let put = |name: &str| Request::RequestPut(client.put_request(name, "1"));
    let create = |name: &str| (vec![mod_is(&client, name, 0)], vec![put(name)]);
    let (guard, action) = create("a");
    let created = txn(&client, guard, action, vec![]).await;
    assert!(created.succeeded);
    let revision = created.header.unwrap().revision;
    let (guard, action) = create("a");
    let refused = txn(&client, guard, action, vec![get(&client, "a")]).await;
    assert!(!refused.succeeded);
    let Some(Response::ResponseRange(range)) = &refused.responses[0].response else {
        panic!()
    };
    assert_eq!(
        (range.kvs[0].mod_revision, refused.header.unwrap().revision),
        (revision, revision)
    );
    let delete = Request::RequestDeleteRange(DeleteRangeRequest {
        key: client.key("a"),
        ..Default::default()
    });
    let several = txn(
        &client,
        vec![],
        vec![put("b"), delete, get(&client, "b"), put("c")],
        vec![],
    )
    .await;
    assert_eq!(several.header.unwrap().revision, revision + 1);
    let Some(Response::ResponseRange(range)) = &several.responses[2].response else {
        panic!()
    };
    assert_eq!(
        range.kvs[0].mod_revision,
        revision + 1,
        "a transaction reads its own writes"
    );
    let all = client.range(client.all()).await;
    assert_eq!(
        all.kvs.iter().map(|kv| kv.mod_revision).collect::<Vec<_>>(),
        [revision + 1, revision + 1]
    );
}

pub(crate) async fn a_transaction_that_changes_nothing_keeps_the_revision(client: Client) {
    let revision = client.put("a", "1").await;
    let delete = Request::RequestDeleteRange(DeleteRangeRequest {
        key: client.key("none"),
        ..Default::default()
    });
    let response = txn(&client, vec![], vec![delete], vec![]).await;
    assert_eq!(response.header.unwrap().revision, revision);
    let response = txn(&client, vec![], vec![get(&client, "a")], vec![]).await;
    assert_eq!(response.header.unwrap().revision, revision);
}

pub(crate) async fn every_compare_target_works(client: Client) {
    use CompareResult::{Equal, Greater, Less, NotEqual};
    use CompareTarget::{Create, Lease, Mod, Value, Version};
    let first = client.put("a", "m").await;
    let second = client.put("a", "n").await;
    let value = |text: &'static str| TargetUnion::Value(text.into());
    let cases = [
        ("a", Version, Equal, TargetUnion::Version(2), true),
        ("a", Version, Greater, TargetUnion::Version(2), false),
        ("a", Create, Equal, TargetUnion::CreateRevision(first), true),
        ("a", Mod, Less, TargetUnion::ModRevision(second + 1), true),
        ("a", Mod, NotEqual, TargetUnion::ModRevision(second), false),
        ("a", Value, Equal, value("n"), true),
        ("a", Value, Less, value("o"), true),
        ("a", Lease, Equal, TargetUnion::Lease(0), true),
        ("none", Version, Equal, TargetUnion::Version(0), true),
        ("none", Create, Greater, TargetUnion::CreateRevision(0), false),
        // No comparison of a value that is not there holds.
        ("none", Value, NotEqual, value("n"), false),
        ("none", Value, Equal, value(""), false),
    ];
    for (name, target, result, to, holds) in cases {
        let text = format!("{name} {target:?} {result:?} {to:?}");
        let response = txn(
            &client,
            vec![compare(&client, name, target, result, to)],
            vec![],
            vec![],
        )
        .await;
        assert_eq!(response.succeeded, holds, "{text}");
    }
    client.put("b", "n").await;
    let all = |to: i64| Compare {
        range_end: client.end(),
        ..compare(&client, "", Version, Greater, TargetUnion::Version(to))
    };
    assert!(txn(&client, vec![all(0)], vec![], vec![]).await.succeeded);
    assert!(!txn(&client, vec![all(1)], vec![], vec![]).await.succeeded);
}

pub(crate) async fn nested_transactions_compare_the_state_before(client: Client) {
    let nested = TxnRequest {
        compare: vec![mod_is(&client, "a", 0)],
        success: vec![op(Request::RequestPut(client.put_request("inner", "absent")))],
        failure: vec![op(Request::RequestPut(client.put_request("inner", "present")))],
    };
    let put = Request::RequestPut(client.put_request("a", "1"));
    let response = txn(&client, vec![], vec![put, Request::RequestTxn(nested)], vec![]).await;
    let Some(Response::ResponseTxn(inner)) = &response.responses[1].response else {
        panic!()
    };
    assert!(inner.succeeded);
    assert_eq!(client.pairs(&client.range(client.all()).await), ["a=1", "inner=absent"]);
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Status>, error: WireError) {
    let status = result.expect_err(error.text);
    assert!(error.matches(&status), "{status:?} instead of {error:?}");
}

pub(crate) async fn bad_requests_are_refused_with_etcds_words(client: Client) {
    let mut kv = client.kv.clone();
    let put = |name: &str| op(Request::RequestPut(client.put_request(name, "1")));
    refused(kv.range(RangeRequest::default()).await, errors::EMPTY_KEY);
    refused(kv.put(PutRequest::default()).await, errors::EMPTY_KEY);
    refused(kv.delete_range(DeleteRangeRequest::default()).await, errors::EMPTY_KEY);
    refused(
        kv.put(PutRequest {
            ignore_value: true,
            ..client.put_request("a", "1")
        })
        .await,
        errors::VALUE_PROVIDED,
    );
    refused(
        kv.put(PutRequest {
            ignore_lease: true,
            lease: 1,
            ..client.put_request("a", "1")
        })
        .await,
        errors::LEASE_PROVIDED,
    );
    refused(
        kv.put(PutRequest {
            ignore_value: true,
            ..client.put_request("a", "")
        })
        .await,
        errors::KEY_NOT_FOUND,
    );
    refused(
        kv.put(PutRequest {
            lease: 12345,
            ..client.put_request("a", "1")
        })
        .await,
        errors::LEASE_NOT_FOUND,
    );
    let twice = TxnRequest {
        success: vec![put("a"), put("a")],
        ..Default::default()
    };
    refused(kv.txn(twice).await, errors::DUPLICATE_KEY);
    let delete = DeleteRangeRequest {
        key: client.key(""),
        range_end: client.end(),
        ..Default::default()
    };
    let beside = TxnRequest {
        success: vec![put("a"), op(Request::RequestDeleteRange(delete))],
        ..Default::default()
    };
    refused(kv.txn(beside).await, errors::DUPLICATE_KEY);
    let many = TxnRequest {
        success: (0..129).map(|number| put(&number.to_string())).collect(),
        ..Default::default()
    };
    refused(kv.txn(many).await, errors::TOO_MANY_OPS);
    let future = Request::RequestRange(RangeRequest {
        revision: i64::MAX,
        ..client.all()
    });
    let mixed = TxnRequest {
        success: vec![put("a"), op(future)],
        ..Default::default()
    };
    refused(kv.txn(mixed).await, errors::FUTURE_REVISION);
    assert!(
        client.range(client.all()).await.kvs.is_empty(),
        "nothing of a refused request is done"
    );
}

pub(crate) async fn large_requests_are_refused(client: Client) {
    let most = 1536 << 10;
    let large = PutRequest {
        key: client.key("a"),
        value: vec![b'x'; most].into(),
        ..Default::default()
    };
    refused(client.kv.clone().put(large).await, errors::REQUEST_TOO_LARGE);
    let fits = PutRequest {
        key: client.key("a"),
        value: vec![b'x'; most - 512].into(),
        ..Default::default()
    };
    client.kv.clone().put(fits).await.unwrap();
}

pub(crate) async fn large_responses_are_not(client: Client) {
    for name in ["a", "b", "c", "d", "e", "f"] {
        let request = PutRequest {
            key: client.key(name),
            value: vec![b'x'; 1 << 20].into(),
            ..Default::default()
        };
        client.kv.clone().put(request).await.unwrap();
    }
    assert_eq!(client.range(client.all()).await.kvs.len(), 6);
}

pub(crate) async fn ignore_value_and_ignore_lease_keep_them(client: Client) {
    client.put("a", "1").await;
    let touch = PutRequest {
        ignore_value: true,
        prev_kv: true,
        ..client.put_request("a", "")
    };
    let response = client.kv.clone().put(touch).await.unwrap().into_inner();
    assert_eq!(response.prev_kv.unwrap().version, 1);
    let all = client.range(client.all()).await;
    assert_eq!((client.pairs(&all), all.kvs[0].version), (vec!["a=1".to_owned()], 2));
}

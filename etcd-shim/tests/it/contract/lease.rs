//! Leases.

use etcd_proto::errors;
use etcd_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    PutRequest,
};
use tokio_stream::iter;

use super::client::Client;

async fn grant(client: &Client, ttl: i64) -> i64 {
    let response = client
        .lease
        .clone()
        .lease_grant(LeaseGrantRequest { ttl, id: 0 })
        .await
        .unwrap()
        .into_inner();
    assert!(response.id > 0 && response.ttl >= ttl);
    response.id
}

async fn put(client: &Client, name: &str, lease: i64) -> i64 {
    let request = PutRequest {
        lease,
        ..client.put_request(name, "1")
    };
    client
        .kv
        .clone()
        .put(request)
        .await
        .unwrap()
        .into_inner()
        .header
        .unwrap()
        .revision
}

pub(crate) async fn a_lease_that_ends_deletes_its_keys_with_events(client: Client) {
    let id = grant(&client, 1).await;
    let last = put(&client, "a", id).await;
    let mut stream = client.stream().await;
    stream.create(client.watch_all(last + 1)).await;
    let event = stream.next().await.events.remove(0);
    assert_eq!((event.r#type, event.kv.unwrap().key), (1, client.key("a")));
    assert!(client.range(client.all()).await.kvs.is_empty());
}

pub(crate) async fn a_revoked_lease_deletes_its_keys_in_one_revision(client: Client) {
    let id = grant(&client, 600).await;
    put(&client, "b", id).await;
    put(&client, "a", id).await;
    // Attached to another lease, to none: no longer this one's.
    put(&client, "c", id).await;
    let last = put(&client, "c", 0).await;
    let mut lease = client.lease.clone();
    let request = LeaseTimeToLiveRequest { id, keys: true };
    let info = lease.lease_time_to_live(request).await.unwrap().into_inner();
    assert_eq!((info.granted_ttl, info.keys.len()), (600, 2));
    assert!((590..=600).contains(&info.ttl));
    let leases = lease
        .lease_leases(LeaseLeasesRequest {})
        .await
        .unwrap()
        .into_inner()
        .leases;
    assert!(leases.iter().any(|lease| lease.id == id));
    let revoked = lease
        .lease_revoke(LeaseRevokeRequest { id })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(revoked.header.unwrap().revision, last + 1);
    assert_eq!(client.pairs(&client.range(client.all()).await), ["c=1"]);
    let gone = lease.lease_time_to_live(request).await.unwrap().into_inner();
    assert_eq!((gone.ttl, gone.granted_ttl), (-1, 0));
}

pub(crate) async fn keep_alive_answers_with_the_time_to_live(client: Client) {
    let id = grant(&client, 600).await;
    let requests = iter([LeaseKeepAliveRequest { id }, LeaseKeepAliveRequest { id: 987_654_321 }]);
    let mut answers = client
        .lease
        .clone()
        .lease_keep_alive(requests)
        .await
        .unwrap()
        .into_inner();
    let first = answers.message().await.unwrap().unwrap();
    let second = answers.message().await.unwrap().unwrap();
    assert_eq!((first.id, first.ttl, second.ttl), (id, 600, 0));
}

pub(crate) async fn unknown_leases_are_named(client: Client) {
    let mut lease = client.lease.clone();
    let status = lease
        .lease_revoke(LeaseRevokeRequest { id: 987_654_321 })
        .await
        .unwrap_err();
    assert!(errors::LEASE_NOT_FOUND.matches(&status), "{status:?}");
    let id = grant(&client, 600).await;
    let status = lease.lease_grant(LeaseGrantRequest { ttl: 600, id }).await.unwrap_err();
    assert!(errors::LEASE_EXISTS.matches(&status), "{status:?}");
    let status = lease
        .lease_grant(LeaseGrantRequest {
            ttl: 9_000_000_001,
            id: 0,
        })
        .await
        .unwrap_err();
    assert!(errors::LEASE_TTL_TOO_LARGE.matches(&status), "{status:?}");
}

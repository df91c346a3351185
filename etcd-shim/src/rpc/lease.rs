//! The Lease service.

use std::pin::Pin;
use std::sync::Arc;

use etcd_proto::etcdserverpb::lease_server::Lease;
use etcd_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest,
    LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
};
use tokio::time::Instant;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::present;
use crate::metrics;
use crate::store::Store;
use crate::txn;

pub(super) struct Service {
    pub(super) store: Arc<Store>,
}

#[tonic::async_trait]
impl Lease for Service {
    async fn lease_grant(&self, request: Request<LeaseGrantRequest>) -> Result<Response<LeaseGrantResponse>, Status> {
        let request = request.into_inner();
        let now = Instant::now();
        let (id, ttl) = self
            .store
            .write(move |core| {
                let mut id = request.id;
                while id == 0 || (request.id == 0 && core.lessor().lock().exists(id)) {
                    // Positive, as etcd's are.
                    id = rand::random::<i64>() & i64::MAX;
                }
                txn::lease_grant(core, id, request.ttl, now).map(|ttl| (id, ttl))
            })
            .await??;
        self.store.lease_changed.notify_one();
        metrics::LEASES_GRANTED.inc();
        Ok(Response::new(LeaseGrantResponse {
            header: present(&self.store),
            id,
            ttl,
            error: String::new(),
        }))
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        let id = request.into_inner().id;
        self.store.write(move |core| txn::lease_revoke(core, id)).await??;
        metrics::LEASES_REVOKED.inc();
        Ok(Response::new(LeaseRevokeResponse {
            header: present(&self.store),
        }))
    }

    type LeaseKeepAliveStream = Pin<Box<dyn Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send>>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let store = self.store.clone();
        let answers = request.into_inner().map(move |request| {
            let id = request?.id;
            // 0 tells the client that there is no such lease.
            let ttl = store.lessor().lock().renew(id, Instant::now()).unwrap_or(0);
            metrics::LEASES_RENEWED.inc_by(u64::from(ttl > 0));
            Ok(LeaseKeepAliveResponse {
                header: present(&store),
                id,
                ttl,
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        let request = request.into_inner();
        let info = self.store.lessor().lock().info(request.id, Instant::now());
        let mut response = LeaseTimeToLiveResponse {
            header: present(&self.store),
            id: request.id,
            ttl: -1,
            ..Default::default()
        };
        if let Some(info) = info {
            response.ttl = info.ttl;
            response.granted_ttl = info.granted_ttl;
            if request.keys {
                response.keys = info.keys;
            }
        }
        Ok(Response::new(response))
    }

    async fn lease_leases(&self, _: Request<LeaseLeasesRequest>) -> Result<Response<LeaseLeasesResponse>, Status> {
        let leases = self
            .store
            .lessor()
            .lock()
            .ids()
            .into_iter()
            .map(|id| LeaseStatus { id })
            .collect();
        Ok(Response::new(LeaseLeasesResponse {
            header: present(&self.store),
            leases,
        }))
    }
}

//! The KV service.

use std::sync::Arc;

use etcd_proto::errors;
use etcd_proto::etcdserverpb::kv_server::Kv;
use etcd_proto::etcdserverpb::response_op::Response as Did;
use etcd_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, TxnRequest, TxnResponse,
};
use prost::Message;
use tonic::{Request, Response, Status};

use super::{complete, present};
use crate::metrics;
use crate::store::Store;
use crate::txn::{self, check};

pub(super) struct Service {
    pub(super) store: Arc<Store>,
    pub(super) max_txn_ops: usize,
}

impl Service {
    fn check_size(&self, request: &impl Message) -> Result<(), Status> {
        if request.encoded_len() > self.store.max_request_bytes() {
            return Err(errors::REQUEST_TOO_LARGE.into());
        }
        Ok(())
    }
}

/// What a transaction did counts beside it.
fn count(response: &TxnResponse) {
    metrics::TXNS.inc();
    for operation in &response.responses {
        match &operation.response {
            Some(Did::ResponseRange(_)) => metrics::RANGES.inc(),
            Some(Did::ResponsePut(_)) => metrics::PUTS.inc(),
            Some(Did::ResponseDeleteRange(_)) => metrics::DELETES.inc(),
            Some(Did::ResponseTxn(inner)) => count(inner),
            None => {}
        }
    }
}

#[tonic::async_trait]
impl Kv for Service {
    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        let request = request.into_inner();
        check::range(&request)?;
        metrics::RANGES.inc();
        let mut response = self.store.range(request).await?;
        complete(&self.store, &mut response.header);
        Ok(Response::new(response))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let request = request.into_inner();
        check::put(&request)?;
        self.check_size(&request)?;
        let mut response = self.store.write(move |core| txn::put(core, request)).await??;
        metrics::PUTS.inc();
        complete(&self.store, &mut response.header);
        Ok(Response::new(response))
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        let request = request.into_inner();
        check::delete_range(&request)?;
        self.check_size(&request)?;
        let mut response = self.store.write(move |core| txn::delete_range(core, request)).await??;
        metrics::DELETES.inc();
        complete(&self.store, &mut response.header);
        Ok(Response::new(response))
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        let request = request.into_inner();
        check::txn(&request, self.max_txn_ops)?;
        let mut response = if check::is_read_only(&request) {
            self.store.read_txn(request).await?
        } else {
            self.check_size(&request)?;
            self.store.write(move |core| txn::txn(core, request)).await??
        };
        count(&response);
        complete(&self.store, &mut response.header);
        Ok(Response::new(response))
    }

    async fn compact(&self, request: Request<CompactionRequest>) -> Result<Response<CompactionResponse>, Status> {
        let request = request.into_inner();
        self.store.write(move |core| core.compact(request.revision)).await??;
        if request.physical {
            self.store.compacted().await;
        }
        Ok(Response::new(CompactionResponse {
            header: present(&self.store),
        }))
    }
}

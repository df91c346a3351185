//! The Cluster service of a cluster that is always one member.

use std::sync::Arc;

use etcd_proto::errors;
use etcd_proto::etcdserverpb::cluster_server::Cluster;
use etcd_proto::etcdserverpb::{
    Member, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse, MemberPromoteRequest,
    MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse, MemberUpdateRequest, MemberUpdateResponse,
};
use tonic::{Request, Response, Status};

use crate::config::Config;
use crate::store::Store;

pub(super) struct Service {
    pub(super) store: Arc<Store>,
    pub(super) config: Arc<Config>,
}

impl Service {
    fn member(&self) -> Member {
        Member {
            id: self.store.identity().member_id,
            name: self.config.name.clone(),
            peer_urls: self.config.advertise_peer_urls.clone(),
            client_urls: self.config.advertise_client_urls.clone(),
            is_learner: false,
        }
    }

    fn check_member(&self, id: u64) -> Result<(), Status> {
        if id == self.store.identity().member_id {
            Ok(())
        } else {
            Err(errors::MEMBER_NOT_FOUND.into())
        }
    }
}

#[tonic::async_trait]
impl Cluster for Service {
    async fn member_list(&self, _: Request<MemberListRequest>) -> Result<Response<MemberListResponse>, Status> {
        let members = vec![self.member()];
        Ok(Response::new(MemberListResponse {
            // etcd's says no revision.
            header: self.store.header(0),
            members,
        }))
    }

    async fn member_add(&self, _: Request<MemberAddRequest>) -> Result<Response<MemberAddResponse>, Status> {
        // A second member needs a real etcd.
        Err(errors::NOT_CAPABLE.into())
    }

    async fn member_remove(
        &self,
        request: Request<MemberRemoveRequest>,
    ) -> Result<Response<MemberRemoveResponse>, Status> {
        self.check_member(request.into_inner().id)?;
        Err(errors::MEMBER_NOT_ENOUGH_STARTED.into())
    }

    async fn member_update(
        &self,
        request: Request<MemberUpdateRequest>,
    ) -> Result<Response<MemberUpdateResponse>, Status> {
        self.check_member(request.into_inner().id)?;
        // Peer URLs come from the flags; nobody connects to them.
        Err(errors::NOT_CAPABLE.into())
    }

    async fn member_promote(
        &self,
        request: Request<MemberPromoteRequest>,
    ) -> Result<Response<MemberPromoteResponse>, Status> {
        self.check_member(request.into_inner().id)?;
        Err(errors::MEMBER_NOT_LEARNER.into())
    }
}

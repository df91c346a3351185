//! The Watch service: moves requests and responses of one stream; the logic is in `watch/session.rs`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use etcd_proto::errors;
use etcd_proto::etcdserverpb::watch_request::RequestUnion;
use etcd_proto::etcdserverpb::watch_server::Watch;
use etcd_proto::etcdserverpb::{WatchRequest, WatchResponse};
use futures::future::{BoxFuture, FutureExt as _};
use futures::{Stream, stream};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tonic::{Request, Response, Status, Streaming};

use crate::mvcc::EngineError;
use crate::store::Store;
use crate::watch::{Mailbox, Session};

pub(super) struct Service {
    pub(super) store: Arc<Store>,
    pub(super) progress_interval: Duration,
}

#[tonic::async_trait]
impl Watch for Service {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    // No task of its own: whoever sends the responses asks for the next one. While the client takes none, what changes
    // waits in the mailbox, which is bounded.
    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Self::WatchStream>, Status> {
        let conversation = Conversation::new(&self.store, self.progress_interval, request.into_inner());
        let responses = stream::unfold(Some(Box::new(conversation)), async |conversation| {
            match conversation?.next().await {
                Ok((response, conversation)) => Some((Ok(response), Some(conversation))),
                Err(Ended::ByClient) => None,
                Err(Ended::By(status)) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(Box::pin(responses)))
    }
}

/// Why a stream ends.
enum Ended {
    /// The client has closed its side: as in etcd, that ends both.
    ByClient,
    /// The client hears of this.
    By(Status),
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Ended::By(status)
    }
}

/// One stream, both ways.
struct Conversation {
    session: Session,
    mailbox: Arc<Mailbox>,
    requests: Streaming<WatchRequest>,
    ticks: Interval,
    /// The store has ended. One future for the whole stream: it waits in a list that all streams share.
    stopped: BoxFuture<'static, ()>,
    /// Responses to be sent next.
    ready: VecDeque<WatchResponse>,
}

impl Conversation {
    fn new(store: &Arc<Store>, interval: Duration, requests: Streaming<WatchRequest>) -> Self {
        // Streams that were opened together shall not tick together (etcd adds up to a tenth, too).
        let interval = interval.mul_f64(1.0 + rand::random::<f64>() / 10.0);
        let mut ticks = interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let session = Session::new(store.clone());
        let store = store.clone();
        Self {
            mailbox: session.mailbox(),
            session,
            requests,
            ticks,
            stopped: async move { store.stopped().await }.boxed(),
            ready: VecDeque::new(),
        }
    }

    async fn next(mut self: Box<Self>) -> Result<(WatchResponse, Box<Self>), Ended> {
        loop {
            if let Some(response) = self.ready.pop_front() {
                return Ok((response, self));
            }
            // Everything that arrived is delivered before history is read: it is older.
            let items = self.mailbox.take();
            if !items.is_empty() {
                self = self.step(move |session| session.deliver(items)).await?;
                continue;
            }
            let behind = self.session.is_behind();
            tokio::select! {
                biased;
                request = self.requests.message() => {
                    let Some(request) = request? else { return Err(Ended::ByClient) };
                    let response = answer(&mut self.session, request);
                    self.ready.extend(response);
                }
                () = self.mailbox.arrived(), if !behind => {}
                _ = self.ticks.tick() => self.session.tick(),
                () = &mut self.stopped => return Err(Status::from(errors::STOPPED).into()),
                () = std::future::ready(()), if behind => self = self.step(Session::catch_up).await?,
            }
        }
    }

    // Runs what may read from disk. Reads are short and mostly from memory, but a catch-up is not: it runs
    // where it may block.
    async fn step(
        mut self: Box<Self>,
        work: impl FnOnce(&mut Session) -> Result<Vec<WatchResponse>, EngineError> + Send + 'static,
    ) -> Result<Box<Self>, Status> {
        let behind = self.session.is_behind();
        let run = move || {
            let responses = work(&mut self.session).map_err(crate::mvcc::Error::from)?;
            self.ready.extend(responses);
            Ok(self)
        };
        if !behind {
            return run();
        }
        tokio::task::spawn_blocking(run)
            .await
            .map_err(|error| Status::internal(error.to_string()))?
    }
}

fn answer(session: &mut Session, request: WatchRequest) -> Option<WatchResponse> {
    match request.request_union {
        Some(RequestUnion::CreateRequest(request)) => Some(session.create(request)),
        Some(RequestUnion::CancelRequest(request)) => session.cancel(request.watch_id),
        Some(RequestUnion::ProgressRequest(_)) => {
            session.request_progress();
            None
        }
        None => None,
    }
}

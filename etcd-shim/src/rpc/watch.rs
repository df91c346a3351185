//! The Watch service: moves requests and responses of one stream; the logic is in `watch/session.rs`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use etcd_proto::errors;
use etcd_proto::etcdserverpb::watch_request::RequestUnion;
use etcd_proto::etcdserverpb::watch_server::Watch;
use etcd_proto::etcdserverpb::{WatchRequest, WatchResponse};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::mvcc::EngineError;
use crate::store::Store;
use crate::watch::Session;

/// Responses that wait for the connection; what comes meanwhile waits in the mailbox, which is bounded.
const RESPONSES: usize = 16;

pub(super) struct Service {
    pub(super) store: Arc<Store>,
    pub(super) progress_interval: Duration,
}

type Sender = mpsc::Sender<Result<WatchResponse, Status>>;

#[tonic::async_trait]
impl Watch for Service {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Self::WatchStream>, Status> {
        let (sender, responses) = mpsc::channel(RESPONSES);
        let (store, interval) = (self.store.clone(), self.progress_interval);
        tokio::spawn(async move {
            if let Err(status) = run(store, interval, request.into_inner(), &sender).await {
                // The client has gone, or hears why the stream ends.
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }
}

// Ends when the client closes its side, as in etcd, or goes away.
async fn run(
    store: Arc<Store>,
    interval: Duration,
    mut requests: Streaming<WatchRequest>,
    sender: &Sender,
) -> Result<(), Status> {
    let mut session = Session::new(store.clone());
    let mailbox = session.mailbox();
    // Streams that were opened together shall not tick together (etcd adds up to a tenth, too).
    let interval = interval.mul_f64(1.0 + rand::random::<f64>() / 10.0);
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Everything that arrived is delivered before history is read: it is older.
        let items = mailbox.take();
        if !items.is_empty() {
            session = step(session, sender, move |session| session.deliver(items)).await?;
            continue;
        }
        let behind = session.is_behind();
        tokio::select! {
            biased;
            request = requests.message() => {
                let Some(request) = request? else { return Ok(()) };
                if let Some(response) = answer(&mut session, request) {
                    send(sender, [response]).await?;
                }
            }
            () = mailbox.arrived(), if !behind => {}
            _ = ticks.tick() => session.tick(),
            () = sender.closed() => return Ok(()),
            () = store.stopped() => return Err(errors::STOPPED.into()),
            () = std::future::ready(()), if behind => {
                session = step(session, sender, Session::catch_up).await?;
            }
        }
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

// Runs what may read from disk. Reads are short and mostly from memory, but a catch-up is not: it runs
// where it may block.
async fn step(
    mut session: Session,
    sender: &Sender,
    work: impl FnOnce(&mut Session) -> Result<Vec<WatchResponse>, EngineError> + Send + 'static,
) -> Result<Session, Status> {
    let (session, responses) = if session.is_behind() {
        let run = move || {
            let responses = work(&mut session);
            (session, responses)
        };
        tokio::task::spawn_blocking(run)
            .await
            .map_err(|error| Status::internal(error.to_string()))?
    } else {
        let responses = work(&mut session);
        (session, responses)
    };
    let responses = responses.map_err(crate::mvcc::Error::from)?;
    send(sender, VecDeque::from(responses)).await?;
    Ok(session)
}

async fn send(sender: &Sender, responses: impl IntoIterator<Item = WatchResponse>) -> Result<(), Status> {
    for response in responses {
        // An error: the client has gone.
        sender
            .send(Ok(response))
            .await
            .map_err(|_| Status::from(errors::WATCH_CANCELED))?;
    }
    Ok(())
}

#![allow(clippy::unwrap_used)]
use super::*;

#[tokio::test(start_paused = true)]
async fn items_are_handed_out_in_order_and_once() {
    let queue = WorkQueue::new("t");
    for item in ["a", "b", "a", "c"] {
        queue.add(item);
    }
    assert_eq!(queue.len(), 3);
    assert_eq!(queue.get().await, Some("a"));
    assert_eq!(queue.get().await, Some("b"));
    assert_eq!(queue.get().await, Some("c"));
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_item_added_while_worked_on_comes_back_after_done() {
    let queue = WorkQueue::new("t");
    queue.add(1);
    let item = queue.get().await.unwrap();
    queue.add(1);
    queue.add(1);
    assert!(queue.is_empty());
    queue.done(&item);
    assert_eq!(queue.get().await, Some(1));
    queue.done(&1);
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn delayed_items_wait_and_the_earliest_delay_counts() {
    let queue = WorkQueue::new("t");
    let start = Instant::now();
    queue.add_after("late", Duration::from_secs(20));
    queue.add_after("x", Duration::from_secs(10));
    queue.add_after("x", Duration::from_secs(5));
    queue.add_after("x", Duration::from_secs(30));
    assert_eq!(queue.get().await, Some("x"));
    assert_eq!(start.elapsed().as_secs(), 5);
    queue.done(&"x");
    assert_eq!(queue.get().await, Some("late"));
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_worker_notices_an_earlier_delay() {
    let queue = WorkQueue::new("t");
    queue.add_after(1, Duration::from_secs(100));
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move { queue.get().await }
    });
    tokio::task::yield_now().await;
    let start = Instant::now();
    queue.add_after(2, Duration::from_secs(1));
    assert_eq!(worker.await.unwrap(), Some(2));
    assert_eq!(start.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn back_off_doubles_up_to_the_limit_and_forget_resets_it() {
    let backoff = Backoff {
        base: Duration::from_millis(5),
        max: Duration::from_millis(30),
        per_second: 0.0,
        burst: 0,
    };
    let queue = WorkQueue::with_backoff("t", backoff);
    let mut waits = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        queue.add_rate_limited("k");
        let item = queue.get().await.unwrap();
        waits.push(start.elapsed().as_millis());
        queue.done(&item);
    }
    assert_eq!(waits, [5, 10, 20, 30, 30]);
    assert_eq!(queue.num_requeues(&"k"), 5);
    queue.forget(&"k");
    assert_eq!(queue.num_requeues(&"k"), 0);
}

#[tokio::test(start_paused = true)]
async fn shut_down_drains_then_ends_every_worker() {
    let queue = WorkQueue::new("t");
    queue.add(1);
    let idle: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut got = Vec::new();
                while let Some(item) = queue.get().await {
                    got.push(item);
                    queue.done(&item);
                }
                got
            })
        })
        .collect();
    tokio::task::yield_now().await;
    queue.shut_down();
    queue.add(2);
    let mut all = Vec::new();
    for worker in idle {
        all.extend(worker.await.unwrap());
    }
    assert_eq!(all, [1]);
    assert_eq!(queue.get().await, None);
}

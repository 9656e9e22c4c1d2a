//! What is killed, cut off or frozen in the middle of an append loses nothing that was acknowledged and doubles nothing.

mod child;
mod connection;
mod frozen;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use porttask_runtime::log::{AppendError, EventLog, FollowError, Follower, LogError, PartitionId, RecordedEvent};
use porttask_tests::{Acknowledged, Work, by};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Tasks that append through a node of this process and repeat, with the same `IdempotencyKey`, what failed in passing.
struct Load {
    done: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Acknowledged>>>,
}

impl Load {
    fn start(log: &Arc<dyn EventLog>, work: Work, name: &str, tasks: usize) -> Self {
        let (done, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let task = |task| {
            let (log, done, stop) = (Arc::clone(log), Arc::clone(&done), Arc::clone(&stop));
            tokio::spawn(append_in_turn(log, work, format!("{name}-{task}"), done, stop))
        };
        let tasks = (0..tasks).map(task).collect();
        Self { done, stop, tasks }
    }

    /// Waits until so many more appends were acknowledged.
    async fn goes_on(&self, appends: usize, limit: Duration) {
        let goal = self.done.load(Ordering::Relaxed) + appends;
        by(limit, &format!("{appends} more appends"), async || self.done.load(Ordering::Relaxed) >= goal).await;
    }

    /// Lets every task finish the append that it is at, and answers all that was acknowledged.
    async fn finish(self) -> Vec<Acknowledged> {
        self.stop.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for task in self.tasks {
            acknowledged.extend(task.await.unwrap());
        }
        acknowledged
    }
}

async fn append_in_turn(
    log: Arc<dyn EventLog>,
    work: Work,
    name: String,
    done: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let key = format!("{name}-{}", acknowledged.len());
        acknowledged.push(append_until_acknowledged(&*log, work, &key).await);
        done.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

/// Appends the work of a key, again and again with the same `IdempotencyKey` as long as the failures are passing ones.
async fn append_until_acknowledged(log: &dyn EventLog, work: Work, key: &str) -> Acknowledged {
    loop {
        let append = work.append(key);
        match log.append(append.clone()).await {
            Ok(appended) => return Acknowledged::new(key, &append, &appended),
            Err(AppendError::OutcomeUnknown | AppendError::Overloaded | AppendError::Log(LogError::Unavailable(_))) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{key}: {error}"),
        }
    }
}

/// Followers of every partition through one node, which bear that the log is away.
struct Readers {
    tasks: Vec<JoinHandle<()>>,
    read: Vec<Arc<std::sync::Mutex<Vec<RecordedEvent>>>>,
}

impl Readers {
    async fn start(log: &Arc<dyn EventLog>) -> Self {
        let mut readers = Self { tasks: Vec::new(), read: Vec::new() };
        for head in log.heads().await.unwrap() {
            let read = Arc::default();
            readers.read.push(Arc::clone(&read));
            readers.tasks.push(tokio::spawn(read_on(Arc::clone(log), head.position.partition, read)));
        }
        readers
    }

    /// Waits until everything that the log holds was read, and answers it by partition.
    async fn finish(self, log: &dyn EventLog) -> Vec<Vec<RecordedEvent>> {
        for (head, read) in log.heads().await.unwrap().iter().zip(&self.read) {
            let what = format!("the follower of partition {} at {}", head.position.partition, head.position);
            let is_read = async || read.lock().unwrap().len() as u64 >= head.position.offset.0;
            by(Duration::from_secs(15), &what, is_read).await;
        }
        self.tasks.iter().for_each(JoinHandle::abort);
        self.read.iter().map(|read| std::mem::take(&mut *read.lock().unwrap())).collect()
    }
}

async fn read_on(log: Arc<dyn EventLog>, partition: PartitionId, read: Arc<std::sync::Mutex<Vec<RecordedEvent>>>) {
    let mut follower = Follower::from_start(log, partition).await.unwrap();
    loop {
        match follower.next(50).await {
            Ok(page) => read.lock().unwrap().extend(page),
            Err(FollowError::Log(LogError::Unavailable(_))) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// An answer that must not take longer than this.
async fn within<T>(limit: Duration, answer: impl Future<Output = T>) -> T {
    timeout(limit, answer).await.unwrap_or_else(|_| panic!("no answer within {limit:?}"))
}

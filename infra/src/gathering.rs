//! Batches concurrent queries to PostgreSQL: a statement costs the server and its callers about as much for a few
//! queries as for one.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use porttask_runtime::supervise::{Restart, supervise};
use tokio::sync::{Mutex, mpsc, oneshot};

/// Maximum number of concurrent statements. Queries that arrive meanwhile are batched into the next one.
const AT_ONCE: usize = 2;
/// Maximum number of queries per statement.
const MOST: usize = 256;

type Waiting<Q, A> = (Q, oneshot::Sender<A>);

/// The callers' end. A query is answered by a statement that starts after it was submitted.
pub(crate) struct Gathering<Q, A> {
    waiting: mpsc::Sender<Waiting<Q, A>>,
}

impl<Q: Send + 'static, A: Send + 'static> Gathering<Q, A> {
    /// Runs batches with `ask`, which returns the answers in the order of the questions, on the current runtime.
    pub(crate) fn new<F>(ask: impl Fn(Vec<Q>) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(MOST);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..AT_ONCE {
            let (receiver, ask) = (Arc::clone(&receiver), ask.clone());
            // It ends with its callers.
            supervise("batched queries", Restart::OnPanic, move || run(Arc::clone(&receiver), ask.clone())).detach();
        }
        Self { waiting: sender }
    }

    /// The answer; `None` if `ask` panicked.
    pub(crate) async fn ask(&self, question: Q) -> Option<A> {
        let (answer, answered) = oneshot::channel();
        self.waiting.send((question, answer)).await.ok()?;
        answered.await.ok()
    }
}

/// Answers queries until all senders are dropped.
async fn run<Q: Send + 'static, A: Send + 'static, F>(
    waiting: Arc<Mutex<mpsc::Receiver<Waiting<Q, A>>>>,
    ask: impl Fn(Vec<Q>) -> F,
) where
    F: Future<Output = Vec<A>> + Send + 'static,
{
    loop {
        let mut together = Vec::new();
        if waiting.lock().await.recv_many(&mut together, MOST).await == 0 {
            return;
        }
        let (questions, answers): (Vec<Q>, Vec<_>) = together.into_iter().unzip();
        // Panics are isolated: the callers of this batch get `None`, later batches are still answered.
        let found = AssertUnwindSafe(ask(questions)).catch_unwind().await;
        if let Ok(found) = found {
            for (answer, found) in answers.into_iter().zip(found) {
                // The caller may have gone away.
                _ = answer.send(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn whoever_asks_at_the_same_time_is_answered_together_and_each_their_own() {
        let statements = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&statements);
        let gathering = Gathering::new(move |questions: Vec<u64>| {
            counted.fetch_add(1, Relaxed);
            async move {
                yield_now().await;
                questions.into_iter().map(|it| it * 2).collect()
            }
        });
        let answers = join_all((0..200).map(|it| gathering.ask(it))).await;
        assert_eq!(answers, (0..200).map(|it| Some(it * 2)).collect::<Vec<_>>());
        assert!(statements.load(Relaxed) <= 10, "{statements:?} statements");
    }

    #[tokio::test]
    async fn a_panic_is_told_and_the_next_ones_are_answered() {
        let gathering = Gathering::new(|questions: Vec<u64>| async move {
            assert_ne!(questions, [7]);
            questions
        });
        for _ in 0..2 * AT_ONCE {
            assert_eq!(gathering.ask(7).await, None);
        }
        assert_eq!(gathering.ask(8).await, Some(8));
    }
}

//! Pools of connections: bounded, opened when needed, closed when idle.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::{
    BuildError, ClientWrapper, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime,
};
use porttask_runtime::supervise::{Restart, beat, supervise};
use tokio::time::sleep;

use super::connect::Connector;

/// How long to wait for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection that is not used is kept.
const IDLE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// A pool of at most so many connections, each initialized with these statements.
///
/// # Errors
/// If the driver rejects the configuration.
pub(crate) fn pool(connector: &Connector, most: usize, settings: &'static [&'static str]) -> Result<Pool, BuildError> {
    let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(connector.config.clone(), connector.tls.clone(), config);
    let pool = Pool::builder(manager)
        .max_size(most)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(PATIENCE))
        .post_create(Hook::async_fn(move |client: &mut ClientWrapper, _| {
            Box::pin(async move {
                for settings in settings {
                    client.batch_execute(settings).await.map_err(HookError::Backend)?;
                }
                Ok(())
            })
        }))
        .build()?;
    let idle = Arc::new(pool.weak());
    let close_idle = move || {
        let pool = Arc::clone(&idle);
        async move {
            loop {
                beat(LOOK_EVERY);
                sleep(LOOK_EVERY).await;
                // It ends with the pool.
                let Some(pool) = pool.upgrade() else { return };
                pool.retain(|_, metrics| metrics.last_used() < IDLE);
            }
        }
    };
    supervise("idle database connections", Restart::OnPanic, close_idle).detach();
    Ok(pool)
}

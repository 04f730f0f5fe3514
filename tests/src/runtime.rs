//! The runtime on which the simulated pods and servers live, beside the tests.

use std::future::Future;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().thread_name("simulation").build();
    // The features of the HTTP client leave the choice of cryptography to the program.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
    runtime.expect("a runtime starts")
});

/// Waits for `future` on the simulation's runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

/// Runs `future` beside the test.
pub fn spawn<F>(future: F) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    Task(RUNTIME.spawn(future))
}

/// Something that runs beside the test; dropping it ends it.
#[derive(Debug)]
pub struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

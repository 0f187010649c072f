//! Random histories against the model: one server, a queue of its own for each history.

use proptest::test_runner::{Config, TestRunner};

use super::audit::audit;
use super::server::Server;
use super::store;
use crate::queue::conformance::Bench;
use crate::queue::conformance::history::histories;
use crate::queue::conformance::model::replay;

#[test]
fn the_queue_and_its_model_agree_on_every_history() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start());
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
    let number = std::cell::Cell::new(0);
    TestRunner::new(config)
        .run(&histories(), |history| {
            number.set(number.get() + 1);
            let prefix = format!("history-{}", number.get());
            let mut store = store(&server);
            store.settings.url = format!("{}?prefix={prefix}", server.url());
            runtime.block_on(async {
                replay(Bench::new(store).await, &history).await;
                audit(&server.url(), Some(&prefix)).await;
            });
            Ok(())
        })
        .unwrap();
}

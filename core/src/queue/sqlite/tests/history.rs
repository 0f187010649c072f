//! Random histories against the model.

use proptest::prelude::*;

use super::fresh;
use crate::queue::conformance::Bench;
use crate::queue::conformance::history::histories;
use crate::queue::conformance::model::replay;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_and_its_model_agree_on_every_history(history in histories()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (store, _folder) = fresh().await;
            replay(Bench::new(store).await, &history).await;
        });
    }
}

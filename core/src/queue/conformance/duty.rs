//! Automatic recovery's duty: one process has it, and who lost it writes nothing.

use super::Bench;
use super::bench::{MOMENT, RECOVERED, job_deadline};
use crate::queue::{Duty, OnDuty, WorkerId};
use crate::run::Mode;

pub async fn one_process_is_on_duty_until_it_leaves_or_falls_silent(bench: Bench) {
    let (first, second) = (WorkerId::new(), WorkerId::new());
    let other = bench.open_again().await;
    let nearly_a_lease = bench.lease().saturating_sub(MOMENT);
    assert_eq!(bench.queue.duty().await, Ok(Duty::default()));
    let token = bench.queue.take_duty(&first).await.expect("asked").expect("it is free");
    assert_eq!(other.take_duty(&second).await, Ok(None));
    let until = bench.now() + bench.lease();
    let on_duty = OnDuty { process: first.to_string(), until };
    assert_eq!(other.duty().await.expect("read").on_duty, Some(on_duty));

    bench.clock.advance(nearly_a_lease);
    assert_eq!(bench.queue.keep_duty(&token).await, Ok(true));
    bench.clock.advance(nearly_a_lease);
    assert_eq!(other.take_duty(&second).await, Ok(None), "it was kept");
    bench.clock.advance(MOMENT);
    assert_eq!(other.duty().await.expect("read").on_duty, None, "it is silent");
    let theirs = other.take_duty(&second).await.expect("asked").expect("its lease is over");
    assert_eq!(bench.queue.keep_duty(&token).await, Ok(false));
    bench.queue.leave_duty(&token).await.expect("of a lost duty nothing is left");
    assert_eq!(bench.queue.take_duty(&first).await, Ok(None));

    other.leave_duty(&theirs).await.expect("left");
    assert_ne!(bench.queue.take_duty(&first).await, Ok(None), "nobody waits for a lease that was left");
}

pub async fn who_lost_the_duty_writes_nothing(bench: Bench) {
    let (first, second) = (WorkerId::new(), WorkerId::new());
    let late = bench.queue.take_duty(&first).await.expect("asked").expect("it is free");
    assert_eq!(bench.queue.put_ledger(&late, "one").await, Ok(true));
    bench.clock.advance(bench.lease() * 3);
    assert_eq!(bench.queue.put_ledger(&late, "two").await, Ok(true), "it slept, and nobody took the duty");
    assert_eq!(bench.queue.keep_duty(&late).await, Ok(true));
    bench.clock.advance(bench.lease());

    let other = bench.open_again().await;
    let token = other.take_duty(&second).await.expect("asked").expect("its lease is over");
    assert_eq!(other.duty().await.expect("read").ledger.as_deref(), Some("two"), "the ledger is handed on");
    assert_eq!(bench.queue.put_ledger(&late, "late").await, Ok(false));
    assert_eq!(other.put_ledger(&token, "three").await, Ok(true));
    other.leave_duty(&token).await.expect("left");
    assert_eq!(other.put_ledger(&token, "after").await, Ok(false));
    // The same process again: an old token is no token.
    bench.queue.take_duty(&first).await.expect("asked").expect("it is free");
    assert_eq!(bench.queue.put_ledger(&late, "old").await, Ok(false));
    assert_eq!(bench.queue.duty().await.expect("read").ledger.as_deref(), Some("three"));
}

pub async fn what_will_be_lost_is_counted_once(bench: Bench) {
    let run = bench.run_with(&[1, 2, 3, 4]).await;
    let other = bench.run_of(Mode::Automatic).await;
    bench.enqueue(&other, &[2, 3, 5]).await;
    assert_eq!(bench.queue.lost_by(job_deadline(1)).await, Ok(0));
    assert_eq!(bench.queue.lost_by(job_deadline(4)).await, Ok(3));
    assert_eq!(bench.queue.lost_by(job_deadline(9)).await, Ok(5));
    let job = bench.claim_one().await;
    bench.claim_one().await;
    assert_eq!(bench.queue.lost_by(job_deadline(4)).await, Ok(3), "what is under way may be lost too");
    bench.settle(&job, RECOVERED).await;
    assert_eq!(bench.queue.lost_by(job_deadline(4)).await, Ok(2));
    bench.queue.cancel(&run).await.expect("cancelled");
    assert_eq!(bench.queue.lost_by(job_deadline(4)).await, Ok(2), "the other run wants 2 and 3");
    assert_eq!(bench.queue.lost_by(job_deadline(9)).await, Ok(3));
}

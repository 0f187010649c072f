//! What goes wrong on purpose, and when.
//!
//! Each request meets at most one fault. Which, is decided by its place in the order of requests and the
//! seed, so the same requests in the same order meet the same faults. No (endpoint, meeting or file or page)
//! fails more than three times in a row, unless faults are relentless: whoever tries again gets through in the
//! end. The two hops of a download count as one endpoint.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::chance::{self, Subject, unit};
use crate::counts::{Endpoint, lock};

/// One list of what can go wrong, from which follow the switches, the names in counts, and what is transient.
macro_rules! faults {
    ($($(#[doc = $doc:literal])* $field:ident $kind:ident $transient:literal)*) => {
        /// The probability of each fault a request, 0 to 1, and how slow answers are. Nothing by default.
        #[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Faults {
            $($(#[doc = $doc])* pub $field: f64,)*
            /// Every request waits this long, and up to `jitter_ms` more, before anything else happens to it.
            pub latency_ms: u64,
            pub jitter_ms: u64,
            /// Whoever tries again does not get through: no end to faults in a row, nor to wrong totals.
            pub relentless: bool,
        }

        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Fault {
            $($kind,)*
        }

        impl Faults {
            /// Every fault from which a patient client recovers without loss, at this probability.
            pub fn all(probability: f64) -> Self {
                Self { $($field: if $transient { probability } else { 0.0 },)* ..Self::default() }
            }

            fn of(&self, fault: Fault) -> f64 {
                match fault {
                    $(Fault::$kind => self.$field,)*
                }
            }
        }
    };
}

faults! {
    /// Zoom answers 500, 502 or 503, in JSON or in HTML.
    server_error ServerError true
    /// The connection is reset and there is no answer.
    reset Reset true
    /// The connection closes after a part of the declared length.
    cut_body CutBody true
    /// A part of the body is sent, then nothing more until the client gives up.
    stalled_body StalledBody true
    /// A log-in page with status 200 in place of a file.
    html_200 Html200 true
    /// 401 with code 124; the token is dead from then on.
    token_expired TokenExpired true
    /// 400 with code 300 for a page token; at most three times for one period, since a list starts again
    /// after it.
    page_token_expired PageTokenExpired true
    /// 403, and the URL is dead until the meeting is listed or read again.
    url_expired UrlExpired true
    /// 429 for no reason that the client could know.
    rate_limited RateLimited true
    /// A page begins with the last entries of the page before it; nothing is left out and the total stays true.
    duplicates Duplicates true
    /// An answer with status 200 whose JSON is cut short.
    malformed_page MalformedPage true
    /// The period is silently made shorter; the answer's `to` says so.
    shifted_range ShiftedRange true
    /// `total_records` is one too many, once in the life of the simulator.
    wrong_total WrongTotal false
    /// The whole body is shorter than the listed size, and its Content-Length agrees with it.
    short_body ShortBody false
    /// A bit of the body is flipped; only a hash can tell.
    corrupt Corrupt false
    /// The DAS answers 500, 502 or 503.
    das_error DasError true
    /// The connection to the DAS is reset and there is no answer.
    das_reset DasReset true
    /// The DAS gives no answer for as long as the client waits; mended by patience, which may take minutes.
    das_late DasLate false
    /// The session of the Verint form is over: 401, and the token is dead from then on.
    das_session_expired DasSessionExpired true
    /// The entries of a page come in another order.
    reordered Reordered true
    /// A page ends early; the next one goes on from there.
    short_page ShortPage true
    /// A page lacks one entry that it should hold; the total stays true.
    lost_entry LostEntry false
    /// An answer with status 200 and good JSON of another shape: `{}`, an error object.
    wrong_shape WrongShape true
    /// An answer leaves its total out.
    untold_total UntoldTotal false
}

impl Endpoint {
    /// What can go wrong here, in the order in which probabilities are laid end to end.
    fn faults(self) -> &'static [Fault] {
        use Fault::{
            Corrupt, CutBody, DasError, DasLate, DasReset, DasSessionExpired, Duplicates, Html200, LostEntry,
            MalformedPage, PageTokenExpired, RateLimited, Reordered, Reset, ServerError, ShiftedRange,
            ShortBody, ShortPage, StalledBody, TokenExpired, UntoldTotal, UrlExpired, WrongShape, WrongTotal,
        };
        match self {
            Self::Token => &[ServerError, Reset],
            Self::List => &[
                ServerError,
                Reset,
                TokenExpired,
                RateLimited,
                MalformedPage,
                PageTokenExpired,
                Duplicates,
                ShiftedRange,
                WrongTotal,
                Reordered,
                ShortPage,
                LostEntry,
                WrongShape,
                UntoldTotal,
            ],
            Self::Statistics => {
                &[ServerError, Reset, TokenExpired, RateLimited, MalformedPage, WrongTotal, UntoldTotal]
            }
            Self::Metadata | Self::Instances => {
                &[ServerError, Reset, TokenExpired, RateLimited, MalformedPage, WrongShape]
            }
            Self::Download => &[ServerError, Reset, TokenExpired, RateLimited, UrlExpired, Html200],
            Self::Media => &[ServerError, Reset, Html200, CutBody, StalledBody, ShortBody, Corrupt],
            Self::DasList | Self::DasGet | Self::DasPut | Self::DasLogIn | Self::DasIngest => {
                &[DasError, DasReset]
            }
            Self::DasLookup => &[DasError, DasReset, DasLate],
            Self::DasQuery => &[DasError, DasReset, DasLate, DasSessionExpired],
            Self::Control | Self::Unknown => &[],
        }
    }
}

/// Faults in a row before a request must get through.
const STREAK: u8 = 3;

#[derive(Debug)]
pub(crate) struct Mischief {
    seed: u64,
    faults: Mutex<Faults>,
    requests: AtomicU64,
    /// Only those that failed last time: empty when nothing goes wrong.
    streaks: Mutex<HashMap<(Endpoint, u64), u8>>,
    wrong_total_done: AtomicBool,
}

impl Mischief {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            faults: Mutex::default(),
            requests: AtomicU64::new(0),
            streaks: Mutex::default(),
            wrong_total_done: AtomicBool::new(false),
        }
    }

    pub(crate) fn set(&self, faults: Faults) {
        *lock(&self.faults) = faults;
    }

    pub(crate) fn faults(&self) -> Faults {
        *lock(&self.faults)
    }

    /// A random number of this request's own, for a choice within a fault.
    pub(crate) fn choice(&self) -> u64 {
        chance::draw(self.seed, Subject::Fault, self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// What goes wrong with this request about `entity`, out of what `may` happen to it. `last` is false for
    /// a request that leads to another about the same thing, so that getting through it proves nothing yet.
    pub(crate) fn draw(
        &self,
        endpoint: Endpoint,
        entity: u64,
        last: bool,
        may: impl Fn(Fault) -> bool,
    ) -> Option<Fault> {
        let faults = self.faults();
        let mut place = unit(self.choice());
        let fault = endpoint.faults().iter().copied().filter(|fault| may(*fault)).find(|fault| {
            let hit = place < faults.of(*fault);
            place -= faults.of(*fault);
            hit
        });
        if faults.relentless {
            return fault;
        }
        self.admit(fault, endpoint, entity, last)
    }

    fn admit(&self, fault: Option<Fault>, endpoint: Endpoint, entity: u64, last: bool) -> Option<Fault> {
        let endpoint = if endpoint == Endpoint::Media { Endpoint::Download } else { endpoint };
        let mut streaks = lock(&self.streaks);
        let streak = streaks.get(&(endpoint, entity)).copied().unwrap_or_default();
        let admitted = fault.filter(|_| streak < STREAK);
        match admitted {
            Some(_) => {
                streaks.insert((endpoint, entity), streak + 1);
            }
            None if last => {
                streaks.remove(&(endpoint, entity));
            }
            None => {}
        }
        drop(streaks);
        admitted.filter(|fault| {
            *fault != Fault::WrongTotal || !self.wrong_total_done.swap(true, Ordering::Relaxed)
        })
    }

    /// Whether one more restart may be forced on whoever reads this period: unlike the rest, never forgotten.
    pub(crate) fn may_restart(&self, period: u64) -> bool {
        lock(&self.streaks).get(&(Endpoint::Unknown, period)).copied().unwrap_or_default() < STREAK
    }

    pub(crate) fn restarted(&self, period: u64) {
        *lock(&self.streaks).entry((Endpoint::Unknown, period)).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mischief(faults: Faults) -> Mischief {
        let mischief = Mischief::new(3);
        mischief.set(faults);
        mischief
    }

    #[test]
    fn nothing_fails_more_than_three_times_in_a_row() {
        let mischief = mischief(Faults { server_error: 1.0, ..Faults::default() });
        let outcomes: Vec<_> =
            (0..8).map(|_| mischief.draw(Endpoint::List, 5, true, |_| true).is_some()).collect();
        assert_eq!(outcomes, [true, true, true, false, true, true, true, false]);
    }

    #[test]
    fn a_first_hop_that_succeeds_does_not_end_the_streak_of_a_download() {
        let mischief = mischief(Faults { cut_body: 1.0, ..Faults::default() });
        for _ in 0..3 {
            assert_eq!(mischief.draw(Endpoint::Download, 5, false, |_| true), None);
            assert_eq!(mischief.draw(Endpoint::Media, 5, true, |_| true), Some(Fault::CutBody));
        }
        assert_eq!(mischief.draw(Endpoint::Download, 5, false, |_| true), None);
        assert_eq!(mischief.draw(Endpoint::Media, 5, true, |_| true), None);
    }

    #[test]
    fn the_same_order_of_requests_meets_the_same_faults() {
        let run = || {
            let mischief = mischief(Faults::all(0.1));
            (0..200)
                .map(|entity| mischief.draw(Endpoint::Metadata, entity, true, |_| true))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
        assert!((60..140).contains(&run().iter().flatten().count()), "half of the requests, give or take");
    }

    #[test]
    fn relentless_faults_never_let_through() {
        let mischief = mischief(Faults { wrong_total: 1.0, relentless: true, ..Faults::default() });
        assert!((0..20).all(|_| mischief.draw(Endpoint::List, 5, true, |_| true) == Some(Fault::WrongTotal)));
    }

    #[test]
    fn a_total_is_wrong_once() {
        let mischief = mischief(Faults { wrong_total: 1.0, ..Faults::default() });
        let wrong = (0..20).filter_map(|entity| mischief.draw(Endpoint::List, entity, true, |_| true));
        assert_eq!(wrong.count(), 1);
    }

    #[test]
    fn all_leaves_out_what_no_client_can_mend() {
        let all = Faults::all(0.05);
        assert!(all.wrong_total + all.short_body + all.corrupt + all.untold_total < f64::EPSILON);
        assert!(all.stalled_body > 0.0 && all.das_reset > 0.0);
    }
}

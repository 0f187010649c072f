//! Every key, once. The scripts get their names from here. Which keys a script touches follows from what it reads, so it
//! is given the tag alone and puts the names together itself; all are in the slot of the tag.

use crate::redis::tag;
use crate::run::RunId;

/// One key each: the name by which scripts call it, and what follows the tag.
const SINGLE: [(&str, &str); 13] = [
    ("JOBS", "jobs"),
    ("CAUSES", "causes"),
    ("LEASED", "leased"),
    ("DELAYED", "delayed"),
    ("AGES", "ages"),
    ("AGED", "aged"),
    ("QUEUE", "queue"),
    ("RUNS", "runs"),
    ("LIVE", "live"),
    ("PAUSED", "paused"),
    ("CANCELLING", "cancelling"),
    ("DUTY", "duty"),
    ("NEWS", NEWS),
];

/// One key for each run, class or span of time.
const MANY: [(&str, &str); 8] = [
    ("READY", READY),
    ("OTHER", OTHER),
    ("HEADS", "heads"),
    ("RUN", "run"),
    ("ABOUT", "about"),
    ("DEAD", "dead"),
    ("GRAVES", "graves"),
    ("TOLD", "told"),
];

const NEWS: &str = "news";
const READY: &str = "ready";
const OTHER: &str = "other";

/// The keys of one queue.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    tag: String,
}

impl Keys {
    /// Braces make the tag what decides the slot in a cluster.
    pub(super) fn new(prefix: Option<&str>) -> Self {
        Self { tag: tag(prefix) }
    }

    /// What every key begins with. No key is called so: it tells a cluster where scripts run.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    pub(super) fn news(&self) -> String {
        self.single(NEWS)
    }

    pub(super) fn runs(&self) -> String {
        self.single("runs")
    }

    pub(super) fn queue(&self) -> String {
        self.single("queue")
    }

    pub(super) fn jobs(&self) -> String {
        self.single("jobs")
    }

    /// Where the unfinished jobs of a run are.
    pub(super) fn jobs_of(&self, run: &RunId) -> [String; 2] {
        [READY, OTHER].map(|name| format!("{}:{name}:{run}", self.tag))
    }

    fn single(&self, name: &str) -> String {
        format!("{}:{name}", self.tag)
    }
}

/// The names as scripts use them: `JOBS`, `READY(run)`.
pub(super) fn lua() -> String {
    let singles = SINGLE.map(|(constant, name)| format!("local {constant} = TAG .. ':{name}'\n"));
    let many = MANY.map(|(function, name)| {
        format!("local function {function}(of) return TAG .. ':{name}:' .. of end\n")
    });
    ["local TAG = KEYS[1]\n".to_owned(), singles.concat(), many.concat()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_these() {
        let singles: Vec<&str> = SINGLE.iter().map(|(_, name)| *name).collect();
        assert_eq!(
            singles.join(" "),
            "jobs causes leased delayed ages aged queue runs live paused cancelling duty news"
        );
        let many: Vec<&str> = MANY.iter().map(|(_, name)| *name).collect();
        assert_eq!(many.join(" "), "ready other heads run about dead graves told");
        let run = RunId::parse("01JBQ8Z6WQK7V3F2T9XN4M5P0R").expect("an id");
        let keys = Keys::new(None);
        assert_eq!((keys.tag(), keys.news()), ("{recapture}", "{recapture}:news".to_owned()));
        assert_eq!(
            Keys::new(Some("acme")).jobs_of(&run),
            [
                "{recapture:acme}:ready:01JBQ8Z6WQK7V3F2T9XN4M5P0R",
                "{recapture:acme}:other:01JBQ8Z6WQK7V3F2T9XN4M5P0R"
            ]
        );
    }
}

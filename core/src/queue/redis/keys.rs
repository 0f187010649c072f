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

/// The parts of a script in their order, each behind those names of keys, `JOBS` or `READY(run)`, which it is the first to
/// use: a name costs time whenever it is made, and a script may end before a part.
pub(super) fn with_names(parts: &[&str]) -> String {
    let singles = SINGLE.map(|(constant, name)| (constant, format!("local {constant} = TAG .. ':{name}'\n")));
    let many = MANY.map(|(function, name)| {
        (function, format!("local function {function}(of) return TAG .. ':{name}:' .. of end\n"))
    });
    let mut missing: Vec<_> = singles.into_iter().chain(many).collect();
    let mut script = "local TAG = KEYS[1]\n".to_owned();
    for part in parts {
        missing.retain(|(name, made)| {
            let used = uses(part, name);
            if used {
                script.push_str(made);
            }
            !used
        });
        script.push_str(part);
    }
    script
}

/// Whether a text has a word; in a comment is enough.
fn uses(text: &str, word: &str) -> bool {
    text.split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_')).any(|found| found == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_stands_behind_the_names_that_it_is_the_first_to_use() {
        let script = with_names(&["call('HGET', JOBS, 'x')\n", "call('DEL', RUN(run), JOBS, JOBSX)\n"]);
        assert_eq!(
            script,
            "local TAG = KEYS[1]\nlocal JOBS = TAG .. ':jobs'\ncall('HGET', JOBS, 'x')\n\
             local function RUN(of) return TAG .. ':run:' .. of end\ncall('DEL', RUN(run), JOBS, JOBSX)\n"
        );
    }

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

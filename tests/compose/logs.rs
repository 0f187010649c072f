//! What the services said: every line is read, and one that nothing explains fails the test.

use serde_json::Value;

/// A container's log, line by line.
pub(crate) struct Log<'a> {
    pub(crate) service: &'a str,
    pub(crate) text: &'a str,
}

impl Log<'_> {
    /// The lines of a program of ours, which are all objects.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<Value> {
        let object = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{}: no JSON: {line}", self.service))
        };
        self.text.lines().filter(|line| !line.is_empty()).map(object).collect()
    }

    pub(crate) fn says(&self, messages: &[&str]) -> usize {
        let said = |line: &&Value| messages.iter().any(|message| line["message"] == *message);
        self.objects().iter().filter(said).count()
    }

    /// It said something, and no error but those that begin with one of these words.
    #[track_caller]
    pub(crate) fn assert_no_errors_but(&self, expected: &[&str]) {
        match self.service {
            "redis" => {
                self.assert_without(&["BUG REPORT", "crashed by signal", "MISCONF", "Bad file format", "OOM"])
            }
            // What is asked during a start or a stop gets FATAL, which is no fault of the server.
            "postgres" => self.assert_without(&["PANIC:", "was terminated by signal", "could not write"]),
            "simulator" => self.assert_without(&["panicked", "Error"]),
            _ => {
                let lines = self.objects();
                assert!(!lines.is_empty(), "{} said nothing", self.service);
                for line in lines {
                    let message = line["message"].as_str().unwrap_or_default();
                    let expected = expected.iter().any(|words| message.starts_with(words));
                    assert!(line["level"] != "ERROR" || expected, "{}: {line}", self.service);
                }
            }
        }
    }

    #[track_caller]
    fn assert_without(&self, words: &[&str]) {
        assert!(!self.text.trim().is_empty(), "{} said nothing", self.service);
        for line in self.text.lines() {
            assert!(!words.iter().any(|words| line.contains(words)), "{}: {line}", self.service);
        }
    }
}

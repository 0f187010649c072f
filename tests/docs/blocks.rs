//! The documents, their fenced blocks, and the commands in their running text.

use crate::repository;

/// A fenced block.
pub(crate) struct Block {
    /// Of its first line of text.
    pub(crate) line: usize,
    pub(crate) info: String,
    pub(crate) text: String,
}

/// README.md and all that stands in docs/.
pub(crate) fn documents() -> Vec<String> {
    let mut found = vec!["README.md".to_owned()];
    for folder in ["docs", "docs/adr", "docs/performance"] {
        for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "md") {
                found.push(format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn lines(document: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join(document)).unwrap();
    text.lines().map(str::to_owned).collect()
}

pub(crate) fn blocks(document: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut inside = false;
    for (number, line) in lines(document).iter().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if inside => inside = false,
            Some(info) => {
                inside = true;
                let info = info.trim().to_owned();
                found.push(Block { line: number + 2, info, text: String::new() });
            }
            None if inside => {
                let block = found.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!inside, "{document}: a block has no end");
    found
}

/// Commands of `recapture` between backticks, outside of blocks, with their lines.
pub(crate) fn inline(document: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (number, line) in lines(document).iter().enumerate() {
        if line.starts_with("```") {
            inside = !inside;
        } else if !inside {
            let quoted = line.split('`').skip(1).step_by(2);
            let commands = quoted.filter(|text| text.starts_with("recapture "));
            found.extend(commands.map(|text| (number + 1, text.to_owned())));
        }
    }
    found
}

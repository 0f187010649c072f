//! What evidence asks of a place: the record that is read is the one that was written, whoever wrote it.
//!
//! The evidence itself stands above the buffer; here is only what the two stores do differently, seen from outside.

use super::open;
use crate::buffer::{Buffer, RunPlace, RunRecord};
use crate::config;
use crate::run::RunId;

async fn record(buffer: &Buffer, run: &RunId) -> Option<RunRecord> {
    buffer.run_record(run).await.expect("read")
}

/// Puts a whole file of lines there, as each kind of place has it.
async fn write_lines(buffer: &Buffer, run: &RunId, writer: &str, lines: &[&str]) {
    match buffer.run_place(run).await.expect("a place") {
        RunPlace::Folder(folder) => {
            let text = lines.join("\n") + "\n";
            std::fs::write(folder.join(format!("{writer}.jsonl")), text).expect("written");
        }
        RunPlace::Objects(objects) => {
            for (number, line) in lines.iter().enumerate() {
                let name = crate::buffer::RunObjects::segment(writer, number as u64);
                objects.create(&name, format!("{line}\n").into()).await.expect("created");
            }
        }
    }
}

pub async fn evidence_of_many_writers_is_read_as_it_was_written(place: &config::Buffer) {
    let buffer = open(place).await;
    let run = RunId::new(super::started_at());
    assert!(record(&buffer, &run).await.is_none());
    let lines: Vec<String> = (0..12).map(|number| format!("line {number}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    write_lines(&buffer, &run, "one", &lines).await;
    write_lines(&buffer, &run, "two", &["x"]).await;
    assert_eq!(buffer.runs().await.expect("read"), std::slice::from_ref(&run));

    let found = record(&buffer, &run).await.expect("it is there");
    let text = std::fs::read_to_string(found.join("one.jsonl")).expect("its lines");
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    assert_eq!(std::fs::read_to_string(found.join("two.jsonl")).expect("its lines"), "x\n");
}

pub async fn the_same_writer_may_come_back_to_a_run(place: &config::Buffer) {
    let buffer = open(place).await;
    let run = RunId::new(super::started_at());
    write_lines(&buffer, &run, "w", &["a", "b"]).await;
    write_lines(&buffer, &run, "w.1", &["c"]).await;
    let found = record(&buffer, &run).await.expect("it is there");
    for (file, text) in [("w.jsonl", "a\nb\n"), ("w.1.jsonl", "c\n")] {
        assert_eq!(std::fs::read_to_string(found.join(file)).expect("its lines"), text);
    }
}

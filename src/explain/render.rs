//! An explanation for people.

use std::fmt::Write;

use super::steps::Said;
use super::{Dropped, Explanation, FrameReport, hex};
use crate::compile::Line;

/// The whole story, its first line the answer.
#[must_use]
pub fn text(told: &Explanation) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", told.headline);
    if let Some(dropped) = &told.dropped {
        let _ = writeln!(text, "  responsible: {}", dropped.responsible);
        let _ = writeln!(text, "  {}", dropped.meaning);
    }
    section(&mut text, "also", told.near.iter().skip(1).map(|near| (near.text.as_str(), near.line.as_ref())));

    let _ = writeln!(text, "\narrived at port {}: {} bytes", told.port, told.frame.len);
    frame(&mut text, &told.frame, &[]);
    for stage in &told.stages {
        section(&mut text, stage.stage, stage.steps.iter().map(|Said { text, line }| (text.as_str(), line.as_ref())));
    }
    for output in &told.outputs {
        let what = if output.answer { "ICMP error to the sender" } else { "left" };
        let _ = writeln!(text, "\n{what} by port {}, for {}: {} bytes", output.port, output.to, output.frame.len);
        frame(&mut text, &output.frame, &output.changed);
    }
    for Dropped { reason, meaning, .. } in &told.lost {
        let _ = writeln!(text, "\na copy was dropped ({reason}): {meaning}");
    }
    text.truncate(text.trim_end().len());
    text
}

fn section<'a>(text: &mut String, title: &str, lines: impl Iterator<Item = (&'a str, Option<&'a Line>)>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        let _ = writeln!(text, "\n{title}");
    }
    for (said, line) in lines {
        let _ = match line {
            Some(line) => writeln!(text, "  {said}  [{line}]"),
            None => writeln!(text, "  {said}"),
        };
    }
}

fn frame(text: &mut String, frame: &FrameReport, changed: &[std::ops::Range<usize>]) {
    for layer in &frame.decoded.layers {
        let fields: Vec<_> = layer.fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let _ = writeln!(text, "  {:<14} {}", layer.name, fields.join(", "));
    }
    text.push_str(&hex::rows(&frame.bytes, changed));
}

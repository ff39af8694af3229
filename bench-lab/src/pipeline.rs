//! What the in-memory bench (`cargo xtask bench pipeline`) printed.

use serde::{Deserialize, Serialize};

/// One of its rows: a kind of traffic and its figures, from left to right.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct Row {
    /// `vxlan-vxlan 64B to random` and the like.
    pub name: String,
    /// Nanoseconds for each frame at 1, 1k, 100k and 1M addresses; of workers, one ratio.
    pub figures: Vec<f64>,
}

/// The rows of its output: a name, then figures, each with others in brackets behind it that are left out.
#[must_use]
pub fn parse(text: &str) -> Vec<Row> {
    text.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let outside = without_brackets(line);
    let words: Vec<&str> = outside.split_whitespace().collect();
    let numbers = words.iter().rev().take_while(|word| word.parse::<f64>().is_ok()).count();
    let (name, figures) = words.split_at(words.len() - numbers);
    let is_row = numbers > 0 && name.first()?.contains('-');
    is_row.then(|| Row { name: name.join(" "), figures: figures.iter().filter_map(|word| word.parse().ok()).collect() })
}

fn without_brackets(line: &str) -> String {
    let mut depth = 0_usize;
    let outside = |letter: &char| match letter {
        '(' | '[' => {
            depth += 1;
            false
        }
        ')' | ']' => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0,
    };
    line.chars().filter(outside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_from_headings() {
        let text = "\
nanoseconds per frame: the gateway's own, median (least) of 15 rounds; the ports' in brackets
MACs                                     1          1000
vxlan-vxlan 64B to random       41.5 (39.0) [12.1]      47.0 (44.9) [12.3]
vxlan-vxlan two workers to one                      1.93
";
        let rows = parse(text);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0], Row { name: "vxlan-vxlan 64B to random".into(), figures: vec![41.5, 47.0] });
        assert_eq!(rows[1].figures, [1.93]);
    }
}

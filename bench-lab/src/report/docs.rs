//! `docs/PERFORMANCE.md`: what is measured is written between two marks; the words around it are people's.

use std::fs;
use std::io;
use std::path::Path;

use super::{bars, lines, text};
use crate::results::Results;

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

/// Writes tables and pictures of what was measured into the documentation.
///
/// # Errors
/// When a file cannot be written, or has lost its marks.
pub fn write_docs(results: &Results) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = folder.join("PERFORMANCE.md");
    let old = fs::read_to_string(&page)?;
    let new = between(&old, &format!("\n{}{}\n", pictures(results), text(results)))
        .ok_or_else(|| io::Error::other(format!("{} has lost its marks", page.display())))?;
    fs::write(page, new)?;
    let folder = folder.join("performance");
    fs::create_dir_all(&folder)?;
    if !results.cells.is_empty() {
        fs::write(folder.join("lab.svg"), bars::draw(results))?;
    }
    if !results.growth.is_empty() {
        fs::write(folder.join("scale.svg"), lines::draw(results))?;
    }
    Ok(())
}

/// The lines that show the pictures.
fn pictures(results: &Results) -> String {
    let lab = if results.cells.is_empty() { "" } else { "![What each gateway carries](performance/lab.svg)\n\n" };
    let scale = if results.growth.is_empty() { "" } else { "![How cost grows](performance/scale.svg)\n\n" };
    [lab, scale].concat()
}

/// The page with other text between the marks.
fn between(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some([before, BEGIN, text, END, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = format!("words\n{BEGIN}old\n{END}more words\n");
        assert_eq!(between(&page, "new\n").unwrap(), format!("words\n{BEGIN}new\n{END}more words\n"));
        assert_eq!(between("no marks", "new"), None);
    }
}

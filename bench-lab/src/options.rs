//! The command line.

use std::path::PathBuf;

use crate::plan::Extent;

/// How it is called.
pub const USAGE: &str = "\
Usage: cargo xtask bench [--quick | --full] [--json FILE]

  --quick       the least that shows something, in under three minutes
  --full        every size with every number of flows and addresses on every path: hours
  --json FILE   keeps every figure of every run there
";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// How much is measured.
    pub extent: Extent,
    /// Where every figure goes.
    pub json: Option<PathBuf>,
}

impl Options {
    /// From the words of the command line.
    ///
    /// # Errors
    /// The word that is not understood.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self { extent: Extent::Corners, json: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut file = || words.next().map(PathBuf::from).ok_or_else(|| format!("{word} needs a file"));
            match word.as_str() {
                "--quick" => options.extent = Extent::Quick,
                "--full" => options.extent = Extent::Full,
                "--json" => options.json = Some(file()?),
                other => return Err(format!("{other} is not understood")),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_line_says_how_much_is_measured() {
        assert_eq!(parse("").unwrap().extent, Extent::Corners);
        let quick = parse("--quick --json a.json").unwrap();
        assert_eq!(quick, Options { extent: Extent::Quick, json: Some("a.json".into()) });
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert!(parse("--fast").unwrap_err().contains("--fast"));
        assert!(parse("--json").unwrap_err().contains("needs a file"));
    }
}

//! The command line.

use std::path::PathBuf;

use crate::plan::Extent;

/// How it is called.
pub const USAGE: &str = "\
Usage: cargo xtask bench [lab | scale] [--quick | --full] [--rounds N] [--json FILE] [--write-docs]

  lab           only gateways side by side; needs root
  scale         only how cost grows with size; needs no root
  --quick       the least that shows something, in under three minutes
  --full        every size with every number of flows and addresses on every path: hours
  --rounds N    how often everything in the lab is measured
  --json FILE   keeps every figure of every run there
  --from FILE   measures nothing, and shows what --json kept
  --write-docs  puts the tables and pictures into docs/PERFORMANCE.md
";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whether the lab is measured.
    pub lab: bool,
    /// Whether growth with size is measured.
    pub scale: bool,
    /// The extent of the measurement: cases, rounds, and seconds each.
    pub extent: Extent,
    /// How often, if not as the extent says.
    pub rounds: Option<usize>,
    /// Where every figure goes.
    pub json: Option<PathBuf>,
    /// Where the figures come from, if nothing is measured.
    pub from: Option<PathBuf>,
    /// What the in-memory bench printed.
    pub pipeline: Option<PathBuf>,
    /// Whether the documentation is written anew.
    pub write_docs: bool,
}

impl Options {
    /// From the words of the command line.
    ///
    /// # Errors
    /// The word that is not understood.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self {
            lab: true,
            scale: true,
            extent: Extent::Corners,
            rounds: None,
            json: None,
            from: None,
            pipeline: None,
            write_docs: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut next = |what: &str| words.next().ok_or_else(|| format!("{word} needs {what}"));
            match word.as_str() {
                "lab" => options.scale = false,
                "scale" => options.lab = false,
                // How things grow takes longer than --quick has.
                "--quick" => (options.extent, options.scale) = (Extent::Quick, options.scale && !options.lab),
                "--full" => options.extent = Extent::Full,
                "--rounds" => {
                    let count = next("a number")?.parse().ok().filter(|count| (1..=100).contains(count));
                    options.rounds = Some(count.ok_or("--rounds needs a number from 1 to 100")?);
                }
                "--json" => options.json = Some(next("a file")?.into()),
                "--from" => options.from = Some(next("a file")?.into()),
                "--pipeline" => options.pipeline = Some(next("a file")?.into()),
                "--write-docs" => options.write_docs = true,
                other => return Err(format!("{other} is not understood")),
            }
        }
        if options.lab || options.scale { Ok(options) } else { Err("lab and scale exclude each other".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn without_words_everything_is_measured() {
        let all = parse("").unwrap();
        assert!(all.lab && all.scale && !all.write_docs);
        assert_eq!(all.extent, Extent::Corners);
    }

    #[test]
    fn the_line_says_how_much_is_measured_and_where_it_goes() {
        let quick = parse("--quick --json a.json --rounds 2").unwrap();
        assert_eq!((quick.extent, quick.lab, quick.scale), (Extent::Quick, true, false));
        assert_eq!((quick.json, quick.rounds), (Some("a.json".into()), Some(2)));
        let scale = parse("scale").unwrap();
        assert!(scale.scale && !scale.lab);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert!(parse("--fast").unwrap_err().contains("--fast"));
        assert!(parse("--json").unwrap_err().contains("needs a file"));
        assert!(parse("--rounds 0").unwrap_err().contains("1 to 100"));
        assert!(parse("lab scale").is_err());
    }
}

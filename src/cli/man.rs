//! `transload man FOLDER`: the manual pages, made of what `--help` and `schema --text` are made of: `transload(1)`, a page
//! for each verb, and `transload.yaml(5)` for the file. Packages are built with it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_mangen::roff::{Roff, bold, roman};

use super::schema::{schema, sections};
use super::{Cli, Failure};

const NAME: &str = "transload.yaml - the file of a transload gateway";
const DESCRIPTION: &str = "\
A gateway is described by one YAML file, which may include others. Its ports, endpoints, peers, groups and tenants have \
names; everything else is a field of one of them. Below is every field, with what it means.";
const AFTER: &str = "\
transload check FILE says what is wrong with a file, at which line and column, and what to write instead. \
Examples are in /usr/share/doc/transload/examples.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder that the pages are written to; it is made if it is missing
    folder: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("cannot write manual pages to {}: {error}", args.folder.display()));
    fs::create_dir_all(&args.folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), &args.folder).map_err(failed)?;
    write_file_page(&args.folder.join("transload.yaml.5"))
}

/// The page about the file.
fn write_file_page(path: &Path) -> Result<(), Failure> {
    let mut page = Roff::new();
    page.control("TH", ["transload.yaml", "5", "", concat!("transload ", env!("CARGO_PKG_VERSION"))]);
    page.control("SH", ["NAME"]).text([roman(NAME)]);
    page.control("SH", ["DESCRIPTION"]).text([roman(DESCRIPTION)]);
    for (names, section) in sections(&schema()?) {
        page.control("SH", [names.to_uppercase().as_str()]);
        if !section.about.is_empty() {
            page.text([roman(section.about)]);
        }
        for (name, text) in section.entries {
            page.control("TP", []).text([bold(name)]).text([roman(text)]);
        }
    }
    page.control("SH", ["SEE ALSO"]).text([roman(AFTER)]);
    fs::write(path, page.render()).map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}

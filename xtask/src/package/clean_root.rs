//! A Debian root with nothing in it, in which the package is installed, used, upgraded and removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{peers, run};

const SCRIPT: &str = "packaging/debian/clean-root.sh";

/// Makes a root, and runs the script with it, this package and the next one.
pub(super) fn test(package: &Path, next: &Path) -> Result<(), String> {
    peers::provide_clean_root()?;
    if !peers::is_root() {
        return Err("a clean root is made by root: `sudo cargo xtask package --test`".to_owned());
    }
    let root = Root::new()?;
    let mirror = mirror()?;
    let words = mirror.split_whitespace().collect::<Vec<_>>();
    let &[address, suite] = words.as_slice() else {
        return Err("apt knows no Debian that a clean root could be made from".to_owned());
    };
    eprintln!("Making a clean root of Debian {suite}");
    run::shown(Command::new("debootstrap").args(["--variant=minbase", suite]).arg(&root.0).arg(address))?;
    run::shown(
        Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--", SCRIPT])
            .arg(&root.0)
            .args([package, next]),
    )
}

/// Where this machine has its own Debian from, and the release.
fn mirror() -> Result<String, String> {
    let format = ["indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages", "Origin: Debian"];
    let told = run::told(Command::new("apt-get").args(format))?;
    // Updates and security fixes are lists of their own, whose releases have a dash in their names.
    let plain = |line: &&str| line.split_whitespace().nth(1).is_some_and(|release| !release.contains('-'));
    Ok(told.lines().find(plain).unwrap_or_default().to_owned())
}

/// A folder that goes with this value.
struct Root(PathBuf);

impl Root {
    fn new() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("transload-clean-root-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

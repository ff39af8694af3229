//! The real peers that live tests talk to: which are missing, and how they come.

use std::path::Path;
use std::process::Command;

use crate::run;

/// A Debian package and a file that tells whether it is there.
const PACKAGES: &[(&str, &str)] = &[
    ("ethtool", "ethtool"),
    ("fish", "fish"),
    ("iproute2", "ip"),
    ("iputils-ping", "ping"),
    ("nftables", "nft"),
    ("openvswitch-switch", "ovs-vsctl"),
    ("prometheus", "promtool"),
    ("systemd", "systemd-analyze"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
    ("user-mode-linux", "linux.uml"),
    ("wireguard-go", "wireguard-go"),
    ("wireguard-tools", "wg"),
    ("zsh", "zsh"),
];

/// Installs the missing peers where that is ours to do, and says so; else says what to type.
pub(crate) fn provide() -> Result<(), String> {
    install(
        PACKAGES,
        "Installing the peers that the live tests talk to",
        "Some peers of the live tests are not installed; those tests will be skipped, by name. To have them",
    )
}

/// The same for what counts instructions.
pub(crate) fn provide_valgrind() -> Result<(), String> {
    install(&[("valgrind", "valgrind")], "Installing what counts", "What counts instructions is not installed")
}

/// The same for what compiles programs for the kernel.
pub(crate) fn provide_clang() -> Result<(), String> {
    let packages = [("clang", "clang"), ("llvm", "llvm-strip")];
    install(&packages, "Installing what compiles for the kernel", "What compiles for the kernel is not installed")
}

/// The same for what makes packages.
pub(crate) fn provide_packager() -> Result<(), String> {
    let packages = [("dpkg-dev", "dpkg-shlibdeps"), ("lintian", "lintian")];
    install(&packages, "Installing what makes packages", "What makes packages is not installed")
}

/// The same for what makes programs for 64-bit ARM, and runs them.
pub(crate) fn provide_arm64() -> Result<(), String> {
    let packages = [("gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc"), ("qemu-user-static", "qemu-aarch64-static")];
    install(&packages, "Installing what makes and runs arm64 programs", "What makes and runs arm64 programs is missing")
}

/// The same for what a package is tested in.
pub(crate) fn provide_clean_root() -> Result<(), String> {
    let packages = [("debootstrap", "debootstrap"), ("iproute2", "ip"), ("iputils-ping", "ping")];
    install(&packages, "Installing what makes a clean root", "What makes a clean root is not installed")
}

/// The same for what draws the dashboard.
pub(crate) fn provide_browser() -> Result<(), String> {
    let packages = [("prometheus", "prometheus"), ("chromium", "chromium"), ("fonts-dejavu-core", "chromium")];
    install(&packages, "Installing what draws the dashboard", "What draws the dashboard is not installed")
}

fn install(packages: &[(&str, &str)], doing: &str, asking: &str) -> Result<(), String> {
    let missing: Vec<_> =
        packages.iter().filter(|(_, program)| !is_installed(program)).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_root() || find("apt-get").is_none() {
        eprintln!("{asking}:\n    sudo apt-get install {names}");
        return Ok(());
    }
    eprintln!("{doing}: {names}");
    run::shown(Command::new("apt-get").arg("update").arg("-qq"))?;
    run::shown(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

pub(crate) fn is_root() -> bool {
    // Its owner is whoever runs this process.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

pub(crate) fn is_installed(program: &str) -> bool {
    find(program).is_some()
}

fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin"].map(Path::new).map(Path::to_path_buf);
    std::env::split_paths(&path).chain(usual).map(|folder| folder.join(program)).find(|file| file.is_file())
}

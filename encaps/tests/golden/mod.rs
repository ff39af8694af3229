//! Reading `encaps/vectors`: frames that other people's tunnels made, with what they mean.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use transload_encaps::{Compiled, Ids, Kind, Segment, Spec};

/// A frame from the wire, and what was sent into the tunnel that made it.
pub(crate) struct Vector {
    /// The file, for messages.
    pub(crate) path: PathBuf,
    /// The encapsulation as such a peer is configured.
    pub(crate) spec: Spec,
    /// The tenant ID.
    pub(crate) segment: Segment,
    /// The whole frame, from its outer Ethernet header on.
    pub(crate) wire: Vec<u8>,
    /// The tenant's frame.
    pub(crate) inner: Vec<u8>,
    /// The outer tag.
    pub(crate) vlan: Option<u16>,
    /// The hash of the flow that the header shows.
    pub(crate) entropy: u32,
    /// How many frames of this tunnel went before, where they are numbered.
    pub(crate) frames_before: u32,
    /// What is wrong with the frame, if its maker has a fault: the label it is dropped under.
    pub(crate) drop: Option<String>,
}

impl Vector {
    /// A compiled peer as if it had sent `frames_before` frames already.
    pub(crate) fn peer(&self) -> Compiled {
        let mut peer = self.spec.compile().expect("the spec compiles");
        peer.claim(self.segment).expect("it is the only claim");
        peer.carry_state(None);
        peer
    }
}

/// Every right frame.
pub(crate) fn vectors() -> Vec<Vector> {
    all().filter(|vector| vector.drop.is_none()).collect()
}

/// Every frame that its maker got wrong.
pub(crate) fn broken() -> Vec<Vector> {
    all().filter(|vector| vector.drop.is_some()).collect()
}

/// Every file of every directory, sorted; none may be missing or unreadable.
fn all() -> impl Iterator<Item = Vector> {
    let mut paths: Vec<PathBuf> = kinds().iter().flat_map(|kind| files(&root().join(kind.info().tag))).collect();
    paths.sort();
    paths.into_iter().map(|path| read(&path))
}

/// The encapsulations that somebody else speaks too.
pub(crate) fn kinds() -> Vec<Kind> {
    Kind::ALL.iter().copied().filter(|kind| kind.info().standard != "none").collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.expect("the directory can be listed").path()).collect()
}

fn read(path: &Path) -> Vector {
    let text = std::fs::read_to_string(path).expect("the vector can be read");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words: HashMap<&str, &str> = lines.map(|line| line.split_once(' ').unwrap_or((line, ""))).collect();
    let number = |word: &str| words.get(word).map(|value| value.parse::<u32>().expect("a number"));
    let spec: Spec = serde_json::from_str(words["spec"]).expect("an encapsulation");
    Vector {
        path: path.to_owned(),
        segment: segment(spec.kind(), words["ids"]),
        wire: unhex(words["wire"]),
        inner: unhex(words["inner"]),
        vlan: number("vlan").map(|vlan| vlan as u16),
        entropy: number("entropy").unwrap_or_default(),
        frames_before: number("frames_before").unwrap_or_default(),
        drop: words.get("drop").map(|label| (*label).to_owned()),
        spec,
    }
}

fn segment(kind: Kind, ids: &str) -> Segment {
    let field =
        |name: &str| kind.info().ids.iter().find(|field| field.name == name).expect("a field of this kind").name;
    let ids: Vec<_> = ids
        .split_whitespace()
        .filter_map(|id| id.split_once('='))
        .map(|(name, value)| (field(name), value.parse().expect("a number")))
        .collect();
    kind.segment(&Ids::of(&ids)).expect("the IDs go together")
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |pair| u8::from_str_radix(pair, 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(|at| byte(&text[at..at + 2])).collect()
}

//! Which peers and cases the words of a command line mean.

use transload::config::nearest;

use crate::cases::{self, Case};
use crate::testbed;

/// The cases that were chosen, and what is to be said about how.
#[derive(Debug)]
pub struct Choice {
    /// In the order of the report.
    pub cases: Vec<Case>,
    /// A line for each word that is no case's whole name.
    pub remarks: Vec<String>,
}

/// The cases that these words mean; all, if there are none. A word that is the name of a case means that case, any other
/// one all cases whose names hold it.
///
/// # Errors
/// With a word that means none, and the name that is nearest to it.
pub fn cases(words: &[String]) -> Result<Choice, String> {
    if words.is_empty() {
        return Ok(Choice { cases: cases::ALL.to_vec(), remarks: Vec::new() });
    }
    let known = || cases::ALL.iter().chain([&cases::ON_PURPOSE]);
    let (mut chosen, mut remarks) = (Vec::new(), Vec::new());
    for word in words {
        if known().any(|case| case.name == word) {
            chosen.push(word.as_str());
            continue;
        }
        let by_part: Vec<_> = cases::ALL.iter().map(|case| case.name).filter(|name| name.contains(&**word)).collect();
        if word.is_empty() {
            // Every name holds it, and nobody means that.
            return Err("`--case` needs a name; --list shows them".to_owned());
        }
        let matching = match by_part.len() {
            0 => return Err(unknown("case", word, known().map(|case| case.name))),
            1 => "one matches".to_owned(),
            count => format!("{count} cases match"),
        };
        remarks.push(format!("no case is called `{word}`; {matching} by part: {}", by_part.join(", ")));
        chosen.extend(by_part);
    }
    Ok(Choice { cases: known().filter(|case| chosen.contains(&case.name)).copied().collect(), remarks })
}

/// Whether each of these words is the name of a peer: of a stack or a site, here or not.
///
/// # Errors
/// With the first that is not, and the name that is nearest to it.
pub fn peers(words: &[String]) -> Result<(), String> {
    let known = testbed::names();
    let unknown_word = words.iter().find(|word| !known.contains(word));
    unknown_word.map_or(Ok(()), |word| Err(unknown("peer", word, known.iter().map(String::as_str))))
}

fn unknown<'a>(what: &str, word: &str, known: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 3;
    let known: Vec<_> = known.collect();
    let parts = || known.iter().flat_map(|name| std::iter::once(*name).chain(name.split('-')));
    // A part of a name may be what was meant: `flod` is near to `flood-once`.
    let near = nearest(word, known.iter().copied()).or_else(|| nearest(word, parts()));
    let is_near = |name: &&&str| near.is_some_and(|near| **name == near || name.split('-').any(|part| part == near));
    let near: Vec<_> = known.iter().filter(is_near).take(MOST).map(|name| format!("`{name}`")).collect();
    if near.is_empty() {
        return format!("no {what} is called `{word}`; --list shows them");
    }
    format!("no {what} is called `{word}`; did you mean {}? --list shows them all", near.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn names(choice: &Choice) -> Vec<&str> {
        choice.cases.iter().map(|case| case.name).collect()
    }

    #[test]
    fn a_whole_name_means_that_case_alone() {
        for name in ["udp", "tcp", "learning", "fails-on-purpose"] {
            let choice = cases(&words(&[name])).unwrap();
            assert_eq!(names(&choice), [name]);
            assert!(choice.remarks.is_empty());
        }
        assert_eq!(names(&cases(&words(&["udp", "fails-on-purpose"])).unwrap()), ["udp", "fails-on-purpose"]);
        assert_eq!(cases(&[]).unwrap().cases.len(), cases::ALL.len());
    }

    #[test]
    fn what_matches_by_part_is_said() {
        let choice = cases(&words(&["flood", "restarts"])).unwrap();
        assert_eq!(names(&choice), ["flood-once", "peer-restarts", "gateway-restarts"]);
        assert_eq!(
            choice.remarks,
            [
                "no case is called `flood`; one matches by part: flood-once",
                "no case is called `restarts`; 2 cases match by part: peer-restarts, gateway-restarts"
            ]
        );
    }

    #[test]
    fn a_name_that_is_none_lists_the_nearest_even_beside_good_ones() {
        let said = cases(&words(&["udp", "lerning"])).unwrap_err();
        assert_eq!(said, "no case is called `lerning`; did you mean `learning`? --list shows them all");
        let said = cases(&words(&["flod"])).unwrap_err();
        assert_eq!(said, "no case is called `flod`; did you mean `flood-once`? --list shows them all");
        assert_eq!(cases(&words(&["zzzzzzzz"])).unwrap_err(), "no case is called `zzzzzzzz`; --list shows them");
        assert!(cases(&words(&[""])).is_err());
        let said = peers(&words(&["ovs", "kernel-vxlam"])).unwrap_err();
        assert_eq!(said, "no peer is called `kernel-vxlam`; did you mean `kernel-vxlan`? --list shows them all");
        peers(&words(&["uml", "ovs-gre6"])).unwrap();
    }
}

//! The known word that somebody probably meant.

use super::meant;

/// The word that is at most a few typing errors away, or shares a part; `None` if none is near.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = word.chars().count().div_ceil(3).min(3);
    known
        .into_iter()
        .map(|candidate| (edits(&word, &candidate.to_lowercase()), candidate))
        .filter(|&(edits, candidate)| edits <= allowed || shares_a_part(&word, candidate))
        .min_by_key(|&(edits, candidate)| (edits, std::cmp::Reverse(begins_alike(&word, candidate))))
        .map(|(_, candidate)| candidate)
}

/// The number of letters two words have in common before they differ.
fn begins_alike(word: &str, candidate: &str) -> usize {
    word.chars().zip(candidate.chars()).take_while(|(a, b)| a == b).count()
}

/// The distance between two words; `svid` and `s_vid` are one word.
fn edits(word: &str, candidate: &str) -> usize {
    let letters = |text: &str| text.replace(['_', '-'], "");
    if letters(word) == letters(candidate) { 0 } else { distance(word, candidate) }
}

/// `udp-port` and `port` share a part; so do `flood_unknown` and `unknown_unicast`.
fn shares_a_part(word: &str, candidate: &str) -> bool {
    const SHORTEST: usize = 4;
    let parts = |text| str::split(text, ['_', '-']).filter(|part: &&str| part.len() >= SHORTEST);
    parts(word).any(|part| parts(candidate).any(|other| part == other))
}

/// The number of letters to insert, remove, replace or swap with a neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

/// `did you mean .. ?` where a known word is near, else all of them.
#[must_use]
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    const MOST_LISTED: usize = 24;
    if let Some(near) = meant::field(word, known.clone()).or_else(|| nearest(word, known.clone())) {
        return Some(format!("did you mean `{near}`?"));
    }
    let all: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
    (1..=MOST_LISTED).contains(&all.len()).then(|| format!("known here: {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_letter_too_many_is_forgiven() {
        assert_eq!(nearest("vnii", ["vni", "vsid", "via"]), Some("vni"));
    }

    #[test]
    fn of_two_that_are_as_near_the_one_that_begins_alike_is_meant() {
        assert_eq!(nearest("vnid", ["vsid", "vni", "vid"]), Some("vni"));
    }

    #[test]
    fn a_line_between_two_words_is_no_letter() {
        assert_eq!(nearest("svid", ["vsid", "s_vid", "vid"]), Some("s_vid"));
    }

    #[test]
    fn two_letters_swapped_are_one_mistake() {
        assert_eq!(nearest("vsdi", ["vni", "vsid"]), Some("vsid"));
    }

    #[test]
    fn a_word_of_several_parts_is_found_by_one_of_them() {
        assert_eq!(nearest("flood_unknown", ["learning", "unknown_unicast"]), Some("unknown_unicast"));
    }

    #[test]
    fn what_is_far_from_everything_is_not_guessed() {
        assert_eq!(nearest("banana", ["vni", "vsid", "key"]), None);
    }
}

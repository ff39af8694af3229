//! CHANGELOG.md: its versions, and the same as Debian writes it.

use std::fmt::Write;

/// What stands above that which is in no version yet.
pub(crate) const UNRELEASED: &str = "Unreleased";

/// One version of the changelog.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry<'a> {
    /// The version, or `Unreleased`.
    pub(crate) version: &'a str,
    /// The day, as year, month and day.
    pub(crate) date: Option<&'a str>,
    /// What is below its heading.
    pub(crate) text: &'a str,
}

/// The versions of a changelog, newest first.
pub(crate) fn entries(changelog: &str) -> Vec<Entry<'_>> {
    let mut headings: Vec<_> = changelog.match_indices("\n## [").map(|(at, _)| at + 1).collect();
    headings.push(changelog.len());
    headings
        .windows(2)
        .filter_map(|ends| {
            let (heading, text) = changelog[ends[0]..ends[1]].split_once('\n')?;
            let (version, rest) = heading.strip_prefix("## [")?.split_once(']')?;
            Some(Entry { version, date: rest.strip_prefix(" - "), text: text.trim() })
        })
        .collect()
}

/// The changelog with what is unreleased as this version, and nothing unreleased.
pub(crate) fn released(changelog: &str, version: &str, date: &str) -> String {
    let heading = format!("## [{UNRELEASED}]\n");
    changelog.replacen(&heading, &format!("{heading}\n## [{version}] - {date}\n"), 1)
}

/// As Debian's changelog. What is unreleased is in `newest`, the version of the package that is built at `now`.
pub(crate) fn debian(changelog: &str, newest: &str, maintainer: &str, now: &str) -> String {
    let mut text = String::new();
    for entry in entries(changelog).iter().filter(|entry| !entry.text.is_empty()) {
        let (version, suite) = match entry.version {
            UNRELEASED => (newest.to_owned(), "UNRELEASED"),
            version => (format!("{}-1", version.replacen('-', "~", 1)), "unstable"),
        };
        let day = entry.date.and_then(mail_date).unwrap_or_else(|| now.to_owned());
        let _ = writeln!(text, "transload ({version}) {suite}; urgency=medium\n");
        for line in entry.text.lines().filter(|line| !line.trim().is_empty()) {
            let _ = match (line.strip_prefix("### "), line.strip_prefix("- ")) {
                (Some(kind), _) => writeln!(text, "  [ {kind} ]"),
                (_, Some(item)) => writeln!(text, "  * {item}"),
                _ => writeln!(text, "    {}", line.trim()),
            };
        }
        let _ = writeln!(text, "\n -- {maintainer}  {day}\n");
    }
    text
}

/// Midnight of a day as mail writes it: `Mon, 30 Nov 2026 00:00:00 +0000`.
fn mail_date(day: &str) -> Option<String> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Sat", "Sun", "Mon", "Tue", "Wed", "Thu", "Fri"];
    let mut numbers = day.split('-').map(|part| part.parse::<usize>().ok());
    let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let name = MONTHS.get(month.checked_sub(1)?)?;
    // Zeller's congruence, by which a year begins in March.
    let (y, m) = if month < 3 { (year.checked_sub(1)?, month + 12) } else { (year, month) };
    let weekday = (day + 13 * (m + 1) / 5 + y + y / 4 + 6 * (y / 100) + y / 400) % 7;
    Some(format!("{}, {day:02} {name} {year} 00:00:00 +0000", DAYS[weekday]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog\n\nWords.\n\n## [Unreleased]\n\n### Added\n\n- One thing\n  in two lines.\n\n\
                             ## [0.1.0-rc.1] - 2026-11-30\n\n- The first.\n";

    #[test]
    fn a_changelog_has_its_versions() {
        let told: Vec<_> = entries(CHANGELOG).iter().map(|entry| (entry.version, entry.date)).collect();
        assert_eq!(told, [("Unreleased", None), ("0.1.0-rc.1", Some("2026-11-30"))]);
        assert_eq!(entries(CHANGELOG)[1].text, "- The first.");
    }

    #[test]
    fn what_is_unreleased_becomes_a_version() {
        let text = released(CHANGELOG, "0.2.0", "2027-01-01");
        let told: Vec<_> = entries(&text).iter().map(|entry| (entry.version, entry.text.is_empty())).collect();
        assert_eq!(told, [("Unreleased", true), ("0.2.0", false), ("0.1.0-rc.1", false)]);
    }

    #[test]
    fn debian_reads_the_same() {
        let text = debian(CHANGELOG, "0.2.0~7.gabc-1", "A <a@example.org>", "Tue, 01 Dec 2026 10:00:00 +0000");
        assert_eq!(
            text,
            "transload (0.2.0~7.gabc-1) UNRELEASED; urgency=medium\n\n  [ Added ]\n  * One thing\n    in two lines.\n\n \
             -- A <a@example.org>  Tue, 01 Dec 2026 10:00:00 +0000\n\n\
             transload (0.1.0~rc.1-1) unstable; urgency=medium\n\n  * The first.\n\n \
             -- A <a@example.org>  Mon, 30 Nov 2026 00:00:00 +0000\n\n"
        );
    }

    #[test]
    fn days_have_their_names() {
        for (day, name) in [("2024-02-29", "Thu"), ("2000-01-01", "Sat"), ("2027-03-01", "Mon")] {
            assert!(mail_date(day).unwrap().starts_with(name), "{day}");
        }
        assert_eq!((mail_date("2026-13-01"), mail_date("soon")), (None, None));
    }
}

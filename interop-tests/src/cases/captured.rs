//! The cases that are captures: frames of real peers through the production pipeline, read by two dissectors.

use super::{Case, Cells, Scope};
use crate::captures;
use crate::outcome::Stop;

pub(super) const ALL: Case = Case {
    name: "captures",
    says: "Every directory of interop-tests/cases comes to what it says, and tshark and pnet_packet see that.",
    standard: "as each case says",
    scope: Scope::World(all),
};

fn all(cells: &mut Cells) {
    match captures::run_all(&captures::directory()) {
        Err(error) => cells.put("interop-tests/cases", Err(Stop::from(error))),
        Ok(outcomes) => {
            for outcome in outcomes {
                let verdict = match outcome.skipped {
                    _ if !outcome.faults.is_empty() => Err(Stop::Failed(outcome.faults.join("\n"))),
                    Some(missing) => Err(Stop::NotRun(format!("tshark has not looked: needs {missing}"))),
                    None => Ok(outcome.case.shows),
                };
                cells.put(&outcome.case.name, verdict);
            }
        }
    }
}

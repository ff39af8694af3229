//! IPsec policies that come while the gateway runs: the log has what they object to, and when that is over.

use std::collections::BTreeSet;
use std::future;
use std::time::Duration;

use super::gateway::Gateway;
use crate::config::Config;
use crate::kernel::host::Machine;
use crate::kernel::ipsec::watch::PolicyWatch;
use crate::logging::LogEvent;

/// How often changes are looked for: many at once are one.
const LOOK: Duration = Duration::from_secs(1);

/// What policies object to, as far as the log has it.
pub(super) struct Objections {
    /// None where policies cannot be followed: the start has said so, if it matters.
    watch: Option<PolicyWatch>,
    told: BTreeSet<String>,
}

impl Objections {
    /// Those of a gateway that starts, to which no policy objects.
    pub(super) fn none() -> Self {
        Self { watch: PolicyWatch::open().ok(), told: BTreeSet::new() }
    }

    /// Waits until policies have changed.
    pub(super) async fn change(&mut self) {
        while let Some(watch) = &self.watch {
            match watch.has_changed() {
                Ok(true) => return,
                Ok(false) => tokio::time::sleep(LOOK).await,
                Err(error) => {
                    LogEvent::IpsecUnwatched { why: &error.to_string() }.tell();
                    self.watch = None;
                }
            }
        }
        future::pending::<()>().await;
    }

    /// Looks for what policies object to in the configuration that is in force, and logs what is new of it.
    pub(super) async fn tell(&mut self, gateway: &Gateway, config: &Config) {
        let Ok(machine) = Machine::read().await else { return };
        let problems = machine.ipsec_objections(config, gateway.rib().plan());
        for problem in problems.iter().filter(|problem| !self.told.contains(&problem.message)) {
            let help = problem.help.as_deref().unwrap_or_default();
            let why = format!("{}{problem}; the gateway goes on as before: {help}", problem.place());
            LogEvent::IpsecObjects { why: &why }.tell();
        }
        if problems.is_empty() && !self.told.is_empty() {
            LogEvent::IpsecClear {}.tell();
        }
        self.told = problems.into_iter().map(|problem| problem.message).collect();
    }
}

//! Which back-end every port gets, and how many workers run: decided before anything is opened, since it says how the
//! workers' memory is laid out, and told in words.

use crate::control::compile::Plan;
use crate::forwarding::PortId;
use crate::io::Backend;
use crate::io::af_xdp::{Survey, chunks_for};
use crate::io::arena::Layout;

/// What was decided.
#[derive(Debug)]
pub struct Choices {
    /// How many workers run.
    pub workers: usize,
    /// Why not as many as the file says.
    pub fewer: Option<String>,
    /// Every port on a network device.
    pub ports: Vec<Choice>,
}

/// What was decided for one port.
#[derive(Debug)]
pub struct Choice {
    /// The port.
    pub port: PortId,
    /// Its name.
    pub name: String,
    /// What the device looks like.
    pub survey: Survey,
    /// Whether XDP sockets move its frames.
    pub xdp: bool,
    /// Why, where the file leaves it to us.
    pub why: Option<String>,
}

impl Choice {
    /// `io: auto chooses af_packet: why`, where the file leaves it to us.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let chosen = if self.xdp { "af_xdp" } else { "af_packet" };
        self.why.as_ref().map(|why| format!("io: auto chooses {chosen}: {why}"))
    }
}

/// Decides for a plan. Devices are looked at, and nothing is changed.
#[must_use]
pub fn choose(plan: &Plan) -> Choices {
    let mut ports: Vec<_> = plan
        .ports
        .iter()
        .filter_map(|port| {
            let survey = Survey::of(port.backend.network_device()?);
            let xdp = matches!(port.backend, Backend::AfXdp { .. });
            Some(Choice { port: port.id, name: port.name.clone(), survey, xdp, why: None })
        })
        .collect();
    let wanted = plan.settings.workers.max(1);
    // Every worker must have a queue of every port that is to be on XDP sockets.
    let narrowest = ports.iter().filter(|choice| choice.xdp).min_by_key(|choice| choice.survey.queues);
    let (workers, fewer) = match narrowest {
        Some(Choice { survey, name, .. }) if (survey.queues as usize) < wanted => {
            let queues = survey.queues as usize;
            let told = format!("{queues} of {wanted} workers run: port {name} has only so many queues (`ethtool -l`)");
            (queues, Some(told))
        }
        _ => (wanted, None),
    };
    let is_ours = |id| plan.ports.iter().any(|port| port.id == id && matches!(port.backend, Backend::Auto { .. }));
    for choice in ports.iter_mut().filter(|choice| is_ours(choice.port)) {
        let judged = choice.survey.judge(workers);
        choice.xdp = judged.is_ok();
        choice.why = Some(judged.unwrap_or_else(|why| why));
    }
    Choices { workers, fewer, ports }
}

impl Choices {
    /// How every worker's memory is laid out.
    #[must_use]
    pub fn layout(&self) -> Layout {
        let on_xdp = || self.ports.iter().filter(|choice| choice.xdp);
        if on_xdp().next().is_none() {
            return Layout::PLAIN;
        }
        let sockets = on_xdp().map(|choice| (choice.survey.queues as usize).div_ceil(self.workers)).sum();
        let mtu = on_xdp().map(|choice| choice.survey.mtu).max().unwrap_or_default();
        Layout::xdp(chunks_for(sockets), mtu as usize)
    }

    /// What the file leaves to us, one line each: which back-end a port would get and why, and how many workers would
    /// run, if not as many as it says.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let ports = self.ports.iter().filter_map(|choice| Some(format!("port {}: {}", choice.name, choice.words()?)));
        ports.chain(self.fewer.clone()).collect()
    }

    /// What was decided for a port.
    #[must_use]
    pub fn of(&self, port: PortId) -> Option<&Choice> {
        self.ports.iter().find(|choice| choice.port == port)
    }
}

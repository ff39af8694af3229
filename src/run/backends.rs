//! Which back-end every port gets, and how many workers run: decided before anything is opened, since it says how the
//! workers' memory is laid out; with the reasons in words.

use crate::compile::{Plan, PortPlan};
use crate::forwarding::PortId;
use crate::io::Backend;
use crate::io::af_xdp::{Survey, chunks_for};
use crate::io::arena::Layout;

/// The back-ends that were chosen, and the number of workers.
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
    choose_by(plan, Survey::of)
}

fn choose_by(plan: &Plan, look: impl Fn(&str) -> Survey) -> Choices {
    let mut ports: Vec<_> = plan
        .ports
        .iter()
        .filter_map(|port| {
            let survey = look(port.backend.network_device()?);
            let xdp = matches!(port.backend, Backend::AfXdp { .. });
            Some(Choice { port: port.id, name: port.name.clone(), survey, xdp, why: None })
        })
        .collect();
    let wanted = plan.settings.workers.max(1);
    // Every worker must have a queue of every port that is to be on XDP sockets.
    let narrowest = ports.iter().filter(|choice| choice.xdp).min_by_key(|choice| choice.survey.most_workers());
    let (workers, fewer) = match narrowest {
        Some(Choice { survey, name, .. }) if survey.most_workers() < wanted => {
            let queues = survey.most_workers();
            let told = format!("{queues} of {wanted} workers run: port {name} has only so many queues (`ethtool -l`)");
            (queues, Some(told))
        }
        _ => (wanted, None),
    };
    let is_ours = |id| plan.ports.iter().any(|port| port.id == id && matches!(port.backend, Backend::Auto { .. }));
    for choice in ports.iter_mut().filter(|choice| is_ours(choice.port)) {
        let suits = choice.survey.suits(workers);
        choice.xdp = suits.is_ok();
        choice.why = Some(suits.unwrap_or_else(|why| why));
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

    /// Looks whether two gateways can have the ports of a plan open at the same time, as by packet sockets.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn can_be_shared(&self, plan: &Plan) -> Result<(), String> {
        let is_shared = |port: &&PortPlan| {
            port.backend.network_device().is_some() && self.of(port.id).is_none_or(|choice| !choice.xdp)
        };
        match plan.ports.iter().find(|port| !is_shared(port)) {
            None => Ok(()),
            Some(port) => Err(format!(
                "port {} is not on packet sockets, and only one gateway can have it open; stop the one that runs first",
                port.name
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{Numbers, compile};
    use crate::config;

    /// What is chosen for two ports, by these words of theirs, on cards with so many queues.
    fn chosen(io: [&str; 2], queues: [u32; 2], workers: usize) -> Choices {
        let text = format!(
            "version: 1
workers: {workers}
ports:
  up1: {{ device: card0, io: {} }}
  up2: {{ device: card1, io: {} }}
endpoints:
  local: {{ address: 192.0.2.1, ports: [up1, up2] }}
peers:
  left: {{ address: 192.0.2.11, encap: vxlan }}
  right: {{ address: 192.0.2.12, encap: vxlan }}
tenants:
  blue:
    attachments:
      left: {{ peer: left, vni: 100 }}
      right: {{ peer: right, vni: 200 }}
",
            io[0], io[1]
        );
        let plan = compile(&config::parse("gateway.yaml", &text).unwrap(), &Numbers::default(), None).unwrap();
        choose_by(&plan, |device| {
            let queues = queues[usize::from(device == "card1")];
            Survey::made_up("ice", "0000:3b:00.0", queues, queues)
        })
    }

    fn on_xdp(choices: &Choices) -> Vec<bool> {
        choices.ports.iter().map(|choice| choice.xdp).collect()
    }

    #[test]
    fn auto_takes_packet_sockets_where_workers_would_have_no_queue_and_all_workers_run() {
        let choices = chosen(["auto", "af_packet"], [2, 8], 4);
        assert_eq!((on_xdp(&choices), choices.workers), (vec![false, false], 4));
        let told = "port up1: io: auto chooses af_packet: 4 workers want a queue each, and the device has 2";
        assert_eq!(choices.words(), [told]);
        assert_eq!(choices.layout(), Layout::PLAIN);
    }

    #[test]
    fn a_port_that_must_be_on_xdp_sockets_has_fewer_workers_run() {
        let choices = chosen(["af_xdp", "af_packet"], [2, 8], 4);
        assert_eq!((on_xdp(&choices), choices.workers), (vec![true, false], 2));
        assert_eq!(choices.words(), ["2 of 4 workers run: port up1 has only so many queues (`ethtool -l`)"]);
    }

    #[test]
    fn the_narrowest_of_those_ports_says_how_many() {
        let choices = chosen(["af_xdp", "af_xdp"], [3, 2], 4);
        assert_eq!((on_xdp(&choices), choices.workers), (vec![true, true], 2));
        assert!(choices.fewer.unwrap().contains("port up2"));
    }

    #[test]
    fn a_queue_to_receive_by_is_no_use_to_a_worker_that_cannot_send() {
        assert_eq!(Survey::made_up("veth", "", 4, 1).most_workers(), 1);
    }

    #[test]
    fn memory_is_laid_out_for_every_socket_of_a_worker() {
        let choices = chosen(["af_xdp", "af_packet"], [8, 1], 2);
        assert_eq!(choices.layout(), Layout::xdp(chunks_for(4), 1500));
    }
}

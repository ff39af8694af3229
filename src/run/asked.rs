//! What the running gateway lends to those who ask it over the admin socket.

use std::collections::HashMap;

use crate::admin::Asked;
use crate::forwarding::PortId;
use crate::report::rows::Reloaded;
use crate::report::{GatewayState, PortState, TunnelState};
use crate::run::gateway::{Gateway, News, View};

impl Asked for Gateway {
    fn read<R>(&self, read: impl FnOnce(&GatewayState<'_>) -> R) -> R {
        let (view, news) = (self.view(), self.news());
        read(&GatewayState {
            shared: &self.shared,
            counters: &self.counters,
            names: &view.names,
            history: &news.history,
            loops: &news.loops,
            ports: ports(self, &news),
            tunnels: tunnels(self, &view),
            now: self.clock.now(),
        })
    }

    async fn reload(&self) -> Option<Result<Reloaded, String>> {
        self.ask_for_reload().await.ok()
    }
}

fn ports<'g>(gateway: &'g Gateway, news: &'g News) -> Vec<PortState<'g>> {
    let all = (0..).map(PortId).zip(&gateway.backends);
    all.map(|(id, io)| PortState { io, failure: news.failures.get(&id).map(String::as_str) }).collect()
}

fn tunnels<'v>(gateway: &Gateway, view: &'v View) -> Vec<TunnelState<'v>> {
    let mut failures: HashMap<_, Vec<_>> = HashMap::new();
    for (peer, complaint) in &gateway.resolution.load().complaints {
        failures.entry(*peer).or_default().push(complaint.to_string());
    }
    let states = view.tunnels.iter().map(|tunnel| TunnelState {
        peer: tunnel.peer,
        endpoint: &tunnel.endpoint,
        remote: tunnel.remote,
        learned: view.learned.get(&tunnel.peer).copied(),
        failures: failures.remove(&tunnel.peer).unwrap_or_default(),
    });
    states.collect()
}

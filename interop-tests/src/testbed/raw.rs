//! Frames as somebody wrote them, put on a cable.

use std::io;

use pnet_datalink::Channel;
use transload_lab::Namespace;

/// Sends one from a device of a namespace.
pub(super) fn send(namespace: &Namespace, device: &str, frame: &[u8]) -> io::Result<()> {
    namespace.enter(|| {
        let found = pnet_datalink::interfaces().into_iter().find(|interface| interface.name == device);
        let interface = found.ok_or_else(|| io::Error::other(format!("there is no device {device}")))?;
        let Channel::Ethernet(mut sender, _) = pnet_datalink::channel(&interface, pnet_datalink::Config::default())?
        else {
            return Err(io::Error::other(format!("{device} is no Ethernet device")));
        };
        sender.send_to(frame, None).unwrap_or_else(|| Err(io::Error::other("the frame is too long")))
    })
}

//! Reads all that comes unasked with the type that is made for it.
use std::fmt::Debug;

use tokio_xmpp::Stanza;
use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::iq::Iq;
use tokio_xmpp::parsers::{
    blocking, caps, carbons, chatstates, delay, disco, mam, ns, pubsub, roster, stanza_error,
    stanza_id,
};

use crate::faults;

fn read<T: TryFrom<Element>>(element: &Element)
where
    T::Error: Debug,
{
    if let Err(error) = T::try_from(element.clone()) {
        faults::add(format!("{error:?}: {}", String::from(element)));
    }
}

fn check(element: &Element) {
    match (element.name(), element.ns().as_str()) {
        ("delay", ns::DELAY) => read::<delay::Delay>(element),
        ("stanza-id", ns::SID) => read::<stanza_id::StanzaId>(element),
        ("sent", ns::CARBONS) => read::<carbons::Sent>(element),
        ("received", ns::CARBONS) => read::<carbons::Received>(element),
        ("result", ns::MAM) => read::<mam::Result_>(element),
        ("event", ns::PUBSUB_EVENT) => read::<pubsub::Event>(element),
        ("query", ns::ROSTER) => read::<roster::Roster>(element),
        ("query", ns::DISCO_INFO) => read::<disco::DiscoInfoQuery>(element),
        ("block", ns::BLOCKING) => read::<blocking::Block>(element),
        ("unblock", ns::BLOCKING) => read::<blocking::Unblock>(element),
        ("c", ns::CAPS) => read::<caps::Caps>(element),
        (_, ns::CHATSTATES) => read::<chatstates::ChatState>(element),
        ("error", _) => read::<stanza_error::StanzaError>(element),
        _ => faults::add(format!(
            "nobody sent or asked for {}",
            String::from(element)
        )),
    }
}

pub fn check_payloads(stanza: &Stanza) {
    let payloads = match stanza {
        Stanza::Message(message) => &message.payloads,
        Stanza::Presence(presence) => &presence.payloads,
        Stanza::Iq(Iq::Get { payload, .. } | Iq::Set { payload, .. }) => return check(payload),
        Stanza::Iq(_) => return, // Read by whoever asked for it.
    };
    payloads.iter().for_each(check);
}

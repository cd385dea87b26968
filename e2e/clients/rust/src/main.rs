//! What clients do, by tokio-xmpp and the pedantic types of xmpp-parsers: an attribute or element
//! that is not in its specification is a fault, and so is one that nobody asked for.
//!
//! Reads its configuration (accounts, host, port) as JSON from the first argument and says what
//! each step came to, one JSON line for each. The authority is in SSL_CERT_FILE.
mod faults;
mod line;
mod person;
mod strict;

use serde_json::{Value, json};
use tokio_xmpp::jid::{BareJid, Jid};
use tokio_xmpp::parsers::blocking::{Block, BlocklistRequest, BlocklistResult, Unblock};
use tokio_xmpp::parsers::carbons::{Enable, Received, Sent};
use tokio_xmpp::parsers::data_forms::{DataForm, DataFormType, Field};
use tokio_xmpp::parsers::disco::{
    DiscoInfoQuery, DiscoInfoResult, DiscoItemsQuery, DiscoItemsResult,
};
use tokio_xmpp::parsers::iq::Iq;
use tokio_xmpp::parsers::mam::{Fin, MetadataQuery, MetadataResponse, Query, QueryId, Result_};
use tokio_xmpp::parsers::mam_prefs::{DefaultPrefs, Prefs};
use tokio_xmpp::parsers::message::{Message, MessageType};
use tokio_xmpp::parsers::nick::Nick;
use tokio_xmpp::parsers::ping::Ping;
use tokio_xmpp::parsers::presence::{Presence, Type};
use tokio_xmpp::parsers::pubsub::pubsub::{Item, Items, Publish};
use tokio_xmpp::parsers::pubsub::{Event, ItemId, NodeName, PubSub, event::Payload};
use tokio_xmpp::parsers::roster::{Ask, Item as Contact, Roster, Subscription};
use tokio_xmpp::parsers::rsm::SetQuery;
use tokio_xmpp::parsers::time::{TimeQuery, TimeResult};
use tokio_xmpp::parsers::vcard::{VCard, VCardQuery};
use tokio_xmpp::parsers::version::{VersionQuery, VersionResult};
use tokio_xmpp::parsers::{bookmarks2::Conference, ns};
use tokio_xmpp::{IqRequest, Stanza, rustls};

use person::Person;

const MESSAGES: usize = 12;
const PAGE: usize = 5;
const NICK_NOTIFY: &str = "http://jabber.org/protocol/nick+notify";

fn say(step: &str, outcome: impl Into<Value>) {
    println!("{}", json!({"step": step, "outcome": outcome.into()}));
}

fn get(payload: impl Into<tokio_xmpp::minidom::Element>) -> IqRequest {
    IqRequest::Get(payload.into())
}

fn set(payload: impl Into<tokio_xmpp::minidom::Element>) -> IqRequest {
    IqRequest::Set(payload.into())
}

async fn the_server(romeo: &mut Person, domain: &Jid) {
    let at = Some(domain.clone());
    let info: DiscoInfoResult = romeo
        .ask(at.clone(), get(DiscoInfoQuery { node: None }))
        .await;
    say("the server", info.features.contains(ns::PING));
    let own: DiscoInfoResult = romeo.ask(None, get(DiscoInfoQuery { node: None })).await;
    say("the account", own.features.contains(ns::MAM));
    let every = DiscoItemsQuery {
        node: None,
        rsm: None,
    };
    let _: DiscoItemsResult = romeo.ask(at.clone(), get(every)).await;
    romeo.order(at.clone(), get(Ping)).await;
    let software: VersionResult = romeo.ask(at.clone(), get(VersionQuery)).await;
    say("software", software.name);
    let time: TimeResult = romeo.ask(at, get(TimeQuery)).await;
    say("its offset", time.tz_offset.to_string());
}

fn contact(jid: BareJid, subscription: Subscription) -> Roster {
    let name = Some("J & <J>".to_owned());
    let item = Contact {
        jid,
        name,
        subscription,
        ask: Ask::None,
        groups: vec![],
        approved: None,
    };
    Roster {
        ver: None,
        items: vec![item],
    }
}

fn is_push(stanza: &Stanza) -> Option<Roster> {
    match stanza {
        Stanza::Iq(Iq::Set { payload, .. }) => Roster::try_from(payload.clone()).ok(),
        _ => None,
    }
}

fn presence_of<'a>(wanted: Type, sender: &'a Jid) -> impl Fn(&Stanza) -> Option<()> + 'a {
    move |stanza| match stanza {
        Stanza::Presence(Presence {
            from: Some(from),
            type_,
            ..
        }) => (from == sender && *type_ == wanted).then_some(()),
        _ => None,
    }
}

async fn become_contacts(one: &mut Person, other: &mut Person) {
    let (own, its) = (Jid::from(one.jid.to_bare()), Jid::from(other.jid.to_bare()));
    one.send(Presence::subscribe().with_to(its.clone())).await;
    other
        .until("a request", presence_of(Type::Subscribe, &own))
        .await;
    other.send(Presence::subscribed().with_to(own)).await;
    one.until("an approval", presence_of(Type::Subscribed, &its))
        .await;
    one.until(
        "a presence",
        presence_of(Type::None, &other.jid.clone().into()),
    )
    .await;
}

async fn roster(romeo: &mut Person, juliet: &mut Person) {
    let nobody = Roster {
        ver: None,
        items: vec![],
    };
    let empty: Roster = romeo.ask(None, get(nobody.clone())).await;
    say("nobody", empty.items.len());
    let her = juliet.jid.to_bare();
    romeo
        .order(None, set(contact(her.clone(), Subscription::None)))
        .await;
    let pushed = romeo.until("a push", is_push).await;
    say("pushed", pushed.items[0].name.clone());
    let _: Roster = juliet.ask(None, get(nobody.clone())).await;
    become_contacts(romeo, juliet).await;
    become_contacts(juliet, romeo).await;
    let full: Roster = romeo.ask(None, get(nobody)).await;
    say("contact", format!("{:?}", full.items[0].subscription));
}

/// The text in a copy, and whether it is one of what the account sent.
fn copied(stanza: &Stanza) -> Option<(bool, String)> {
    let Stanza::Message(message) = stanza else {
        return None;
    };
    let mut copy = message.clone();
    let (is_sent, forwarded) = match copy.extract_payload::<Sent>().ok()? {
        Some(sent) => (true, sent.forwarded),
        None => (false, copy.extract_payload::<Received>().ok()??.forwarded),
    };
    Some((is_sent, forwarded.message.bodies.values().next()?.clone()))
}

async fn messages(romeo: &mut Person, desk: &mut Person, juliet: &mut Person, tablet: &mut Person) {
    for person in [&mut *desk, &mut *tablet] {
        person.order(None, set(Enable)).await;
    }
    let wanted: Vec<String> = (0..MESSAGES)
        .map(|number| format!("m{number} <&> 💘"))
        .collect();
    for body in &wanted {
        romeo.say(juliet.jid.clone(), body).await;
    }
    let mut heard = vec![];
    let mut copies = vec![];
    for _ in &wanted {
        heard.push(juliet.hear().await);
        copies.push(desk.until("a copy of what he sent", copied).await);
        copies.push(tablet.until("a copy of what she got", copied).await);
    }
    say("heard in order", heard == wanted);
    let both = wanted
        .iter()
        .flat_map(|body| [(true, body.clone()), (false, body.clone())]);
    say("copied in order", both.eq(copies));
    juliet.say(romeo.jid.clone(), "answer").await;
    say("answer", romeo.hear().await);
    say("copy of it", desk.until("a copy", copied).await.1);
}

fn from_archive(stanza: &Stanza) -> Option<String> {
    let Stanza::Message(message) = stanza else {
        return None;
    };
    let result = message.clone().extract_payload::<Result_>().ok()??;
    result.forwarded.delay?;
    result.forwarded.message.bodies.values().next().cloned()
}

async fn history(romeo: &mut Person, juliet: &Person) {
    let with = Field::text_single("with", &juliet.jid.to_bare().to_string());
    let form = DataForm::new(DataFormType::Submit, ns::MAM, vec![with]);
    let (mut after, mut sizes, mut bodies) = (None, vec![], vec![]);
    loop {
        let page = SetQuery {
            max: Some(PAGE),
            after,
            before: None,
            index: None,
        };
        let query = Query {
            queryid: Some(QueryId("q".to_owned())),
            node: None,
            form: Some(form.clone()),
            set: Some(page),
            flip_page: false,
        };
        let fin: Fin = romeo.ask(None, set(query)).await;
        let size = (MESSAGES + 1 - bodies.len()).min(PAGE);
        for _ in 0..size {
            bodies.push(romeo.until("a result", from_archive).await);
        }
        sizes.push(size);
        after = fin.set.last;
        if fin.complete {
            break;
        }
    }
    say("pages", sizes);
    say("history ends with", bodies.pop());
    let ends: MetadataResponse = romeo.ask(None, get(MetadataQuery)).await;
    say(
        "first before last",
        ends.start
            .is_some_and(|start| Some(start.id) < ends.end.map(|end| end.id)),
    );
    let wanted = Prefs {
        default_: DefaultPrefs::Roster,
        always: vec![],
        never: vec![],
    };
    let prefs: Prefs = romeo.ask(None, set(wanted)).await;
    say("archived", format!("{:?}", prefs.default_));
    let hers = Some(Jid::from(juliet.jid.to_bare()));
    let error = romeo.refused(hers, get(MetadataQuery)).await;
    say("another's", format!("{:?}", error.defined_condition));
}

fn publish(node: &str, id: &str, payload: tokio_xmpp::minidom::Element) -> PubSub {
    let item = Item {
        id: Some(ItemId(id.to_owned())),
        publisher: None,
        payload: Some(payload),
    };
    let publish = Publish {
        node: NodeName(node.to_owned()),
        items: vec![item],
    };
    PubSub::Publish {
        publish,
        publish_options: None,
    }
}

fn nick_of(stanza: &Stanza) -> Option<String> {
    let Stanza::Message(message) = stanza else {
        return None;
    };
    let event = message.clone().extract_payload::<Event>().ok()??;
    let Payload::Items { published, .. } = event.payload else {
        return None;
    };
    Some(
        Nick::try_from(published.into_iter().next()?.payload?)
            .ok()?
            .0,
    )
}

async fn eventing(romeo: &mut Person, juliet: &mut Person) {
    let nick = publish(ns::NICK, "current", Nick("Montague".to_owned()).into());
    let _: PubSub = romeo.ask(None, set(nick)).await;
    say("her news of him", juliet.until("an event", nick_of).await);
    let room = Conference {
        autojoin: true,
        name: Some("Orchard".to_owned()),
        ..Conference::new()
    };
    let marked = publish(ns::BOOKMARKS2, "orchard@rooms.example", room.into());
    let _: PubSub = romeo.ask(None, set(marked)).await;
    let items = PubSub::Items(Items::new(ns::BOOKMARKS2));
    let PubSub::Items(Items { items, .. }) = romeo.ask(None, get(items)).await else {
        panic!("items are answered with items");
    };
    let kept = Conference::try_from(items[0].payload.clone().expect("a payload"));
    say("bookmark", kept.expect("a bookmark").name);
}

async fn personal(romeo: &mut Person, tybalt: &BareJid) {
    let photo = VCard {
        photo: None,
        payloads: vec!["<FN xmlns='vcard-temp'>Romeo</FN>".parse().expect("XML")],
    };
    romeo.order(None, set(photo)).await;
    let card: VCard = romeo.ask(None, get(VCardQuery)).await;
    say("vcard", card.payloads[0].text());
    romeo
        .order(
            None,
            set(Block {
                items: vec![tybalt.clone().into()],
            }),
        )
        .await;
    let list: BlocklistResult = romeo.ask(None, get(BlocklistRequest)).await;
    say("blocked", list.items == [Jid::from(tybalt.clone())]);
    romeo.say(tybalt.clone(), "thou art a villain").await;
    let refusal = romeo
        .until("a refusal", |stanza| match stanza {
            Stanza::Message(Message {
                from,
                type_: MessageType::Error,
                ..
            }) => Some(from.clone()),
            _ => None,
        })
        .await;
    say("refused", refusal.map(|from| from.to_string()));
    romeo.order(None, set(Unblock { items: vec![] })).await;
}

async fn resumption(romeo: &mut Person, juliet: &mut Person) {
    say("faults", faults::take());
    romeo.line.cut();
    juliet.say(romeo.jid.clone(), "while away").await;
    say("resumed", romeo.until_online().await);
    juliet.say(romeo.jid.clone(), "afterwards").await;
    say(
        "heard once",
        json!([romeo.hear().await, romeo.hear().await]),
    );
    romeo.say(juliet.jid.clone(), "here again").await;
    say("heard from him", juliet.hear().await);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    faults::watch();
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("cryptography");
    let argument = std::env::args().nth(1).expect("a configuration");
    let config: Value = serde_json::from_str(&argument).expect("JSON");
    let domain = Jid::new(config["domain"].as_str().expect("a domain")).expect("a domain");
    let mut romeo = Person::log_in(&config, "romeo/phone", "romeo:phone").await;
    let mut desk = Person::log_in(&config, "romeo/desk", "romeo:desk").await;
    let mut juliet = Person::log_in(&config, "juliet/balcony", NICK_NOTIFY).await;
    let mut tablet = Person::log_in(&config, "juliet/tablet", "juliet:tablet").await;
    let tybalt = BareJid::new(&format!("tybalt@{domain}")).expect("an address");
    the_server(&mut romeo, &domain).await;
    roster(&mut romeo, &mut juliet).await;
    messages(&mut romeo, &mut desk, &mut juliet, &mut tablet).await;
    history(&mut romeo, &juliet).await;
    eventing(&mut romeo, &mut juliet).await;
    personal(&mut romeo, &tybalt).await;
    resumption(&mut romeo, &mut juliet).await;
    for person in [romeo, desk, juliet, tablet] {
        person.leave().await;
    }
    say("faults of the rest", faults::take());
}

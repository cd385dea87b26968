//! Somebody with one client, who reads everything and waits for what should come.
use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;
use tokio::time::timeout;
use tokio_xmpp::connect::DnsConfig;
use tokio_xmpp::jid::{FullJid, Jid};
use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::caps::{self, Caps};
use tokio_xmpp::parsers::disco::{DiscoInfoResult, Identity};
use tokio_xmpp::parsers::hashes::Algo;
use tokio_xmpp::parsers::iq::Iq;
use tokio_xmpp::parsers::message::{Lang, Message};
use tokio_xmpp::parsers::presence::Presence;
use tokio_xmpp::parsers::stanza_error::StanzaError;
use tokio_xmpp::xmlstream::Timeouts;
use tokio_xmpp::{Client, Event, IqRequest, IqResponse, Stanza};

use crate::line::Line;
use crate::strict::check_payloads;

const WAIT: Duration = Duration::from_secs(30);
const NODE: &str = "https://strict.example";

pub struct Person {
    client: Client,
    pub jid: FullJid,
    pub line: Line,
    /// Read, and not yet waited for.
    unread: VecDeque<Stanza>,
}

fn described(interest: &str) -> DiscoInfoResult {
    DiscoInfoResult {
        node: None,
        identities: vec![Identity {
            category: "client".into(),
            type_: "console".into(),
            lang: None,
            name: None,
        }],
        features: [interest.to_owned()].into(),
        extensions: vec![],
    }
}

impl Person {
    pub async fn log_in(config: &Value, name: &str, interest: &str) -> Person {
        let text = |key: &str| config[key].as_str().expect("a text");
        let line = Line::to(format!("{}:{}", text("host"), config["port"])).await;
        let (local, resource) = name.split_once('/').expect("a name with a resource");
        let jid = FullJid::new(&format!("{local}@{}/{resource}", text("domain"))).expect("a jid");
        let place = DnsConfig::addr(&line.address);
        let client = Client::new_starttls(jid.clone(), text("password"), place, Timeouts::tight());
        let mut person = Person {
            client,
            jid,
            line,
            unread: VecDeque::new(),
        };
        assert!(
            !person.until_online().await,
            "a first login resumes nothing"
        );
        let hash = caps::hash_caps(&caps::compute_disco(&described(interest)), Algo::Sha_1);
        let presence = Presence::available().with_payload(Caps::new(NODE, hash.expect("a hash")));
        person.send(presence).await;
        let own = Jid::from(person.jid.clone());
        person
            .until("own presence", |stanza| match stanza {
                Stanza::Presence(Presence {
                    from: Some(from), ..
                }) => (*from == own).then_some(()),
                _ => None,
            })
            .await;
        person.answer_disco(interest).await;
        person
    }

    /// Who sends a hash that nobody knows yet is asked what it stands for (XEP-0115, 5.4).
    async fn answer_disco(&mut self, interest: &str) {
        let (from, id, node) = self
            .until(
                "a question for what the client can do",
                |stanza| match stanza {
                    Stanza::Iq(Iq::Get {
                        from, id, payload, ..
                    }) => Some((
                        from.clone(),
                        id.clone(),
                        payload.attr("node").map(str::to_owned),
                    )),
                    _ => None,
                },
            )
            .await;
        let info = DiscoInfoResult {
            node,
            ..described(interest)
        };
        let answer = Iq::Result {
            from: None,
            to: from,
            id,
            payload: Some(info.into()),
        };
        self.send(answer).await;
    }

    /// Whether it was a resumption. What had come before is kept.
    pub async fn until_online(&mut self) -> bool {
        loop {
            match timeout(WAIT, self.client.next())
                .await
                .expect("a login in time")
            {
                Some(Event::Online {
                    bound_jid, resumed, ..
                }) => {
                    assert_eq!(bound_jid, Jid::from(self.jid.clone()));
                    return resumed;
                }
                other => self.keep(other).await,
            }
        }
    }

    pub async fn send(&mut self, stanza: impl Into<Stanza>) {
        self.client
            .send_stanza(stanza.into())
            .await
            .expect("a stream");
    }

    pub async fn say(&mut self, to: impl Into<Jid>, body: &str) {
        let message = Message::chat(to.into()).with_body(Lang::new(), body.to_owned());
        self.send(message).await;
    }

    /// Each stanza that comes is read by the types made for it, whether waited for or not.
    async fn keep(&mut self, event: Option<Event>) {
        let stanza = match event {
            Some(Event::Stanza(stanza)) => stanza,
            other => panic!("{} has no stream any more: {other:?}", self.jid),
        };
        check_payloads(&stanza);
        if let Stanza::Iq(Iq::Set { from, id, .. }) = &stanza {
            let answer = Iq::empty_result(
                from.clone().unwrap_or_else(|| self.jid.to_bare().into()),
                id.clone(),
            );
            self.send(answer).await;
        }
        self.unread.push_back(stanza);
    }

    /// The first stanza, of those nobody has waited for, that `pick` finds something in.
    pub async fn until<T>(&mut self, what: &str, pick: impl Fn(&Stanza) -> Option<T>) -> T {
        loop {
            if let Some(at) = self.unread.iter().position(|stanza| pick(stanza).is_some()) {
                return self
                    .unread
                    .remove(at)
                    .as_ref()
                    .and_then(pick)
                    .expect("it again");
            }
            let Ok(event) = timeout(WAIT, self.client.next()).await else {
                panic!("{} waited for {what} and has {:?}", self.jid, self.unread);
            };
            self.keep(event).await;
        }
    }

    /// The text of the next message that has one.
    pub async fn hear(&mut self) -> String {
        self.until("a message", |stanza| match stanza {
            Stanza::Message(message) => message.bodies.values().next().cloned(),
            _ => None,
        })
        .await
    }

    async fn answer(&mut self, to: Option<Jid>, request: IqRequest) -> IqResponse {
        let mut token = self.client.send_iq(to, request).await;
        loop {
            tokio::select! {
                answer = &mut token => return answer.expect("an answer"),
                event = self.client.next() => self.keep(event).await,
                () = tokio::time::sleep(WAIT) => panic!("{} waited for an answer", self.jid),
            }
        }
    }

    /// What the server answers, as its type.
    pub async fn ask<T: TryFrom<Element>>(&mut self, to: Option<Jid>, request: IqRequest) -> T
    where
        T::Error: Debug,
    {
        match self.answer(to, request).await {
            IqResponse::Result(Some(payload)) => T::try_from(payload).expect("a payload"),
            other => panic!("{} asked and got {other:?}", self.jid),
        }
    }

    /// Asks for what is answered with nothing but success.
    pub async fn order(&mut self, to: Option<Jid>, request: IqRequest) {
        match self.answer(to, request).await {
            IqResponse::Result(None) => {}
            other => panic!("{} ordered and got {other:?}", self.jid),
        }
    }

    pub async fn refused(&mut self, to: Option<Jid>, request: IqRequest) -> StanzaError {
        match self.answer(to, request).await {
            IqResponse::Error(error) => error,
            other => panic!("{} was not refused but got {other:?}", self.jid),
        }
    }

    pub async fn leave(self) {
        self.client.send_end().await.expect("an end");
    }
}

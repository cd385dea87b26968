"""What clients do, by aioxmpp, which reads every payload with the type that is made for it.

Reads its configuration (two accounts that are new, host, port, authority) as JSON from the first
argument and says what each step came to, one JSON line for each. What the library complains of in its log are faults.
"""
import asyncio
import json
import logging
import sys

import aioxmpp
import aioxmpp.carbons
import aioxmpp.connector
import aioxmpp.dispatcher
import aioxmpp.ping
import aioxmpp.security_layer
import aioxmpp.xso as xso
from aioxmpp.misc import Forwarded
from aioxmpp.rsm.xso import ResultSetMetadata

MAM = "urn:xmpp:mam:2"
MESSAGES = 7
WAIT_SECONDS = 30
STRICT = {
    "UNKNOWN_CHILD_POLICY": xso.UnknownChildPolicy.FAIL,
    "UNKNOWN_ATTR_POLICY": xso.UnknownAttrPolicy.FAIL,
}


def say(step, outcome):
    print(json.dumps({"step": step, "outcome": outcome}), flush=True)


@aioxmpp.IQ.as_payload_class
class Query(xso.XSO):
    TAG = MAM, "query"
    queryid = xso.Attr("queryid", default=None)
    page = xso.Child([ResultSetMetadata])


@aioxmpp.IQ.as_payload_class
class Fin(xso.XSO):
    TAG = MAM, "fin"
    locals().update(STRICT)
    complete = xso.Attr("complete", type_=xso.Bool(), default=False)
    stable = xso.Attr("stable", type_=xso.Bool(), default=True)
    page = xso.Child([ResultSetMetadata], required=True)


class Result(xso.XSO):
    TAG = MAM, "result"
    locals().update(STRICT)
    id_ = xso.Attr("id")
    queryid = xso.Attr("queryid", default=None)
    forwarded = xso.Child([Forwarded], required=True)


aioxmpp.Message.mam_result = xso.Child([Result])


class Faults(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.found = []

    def emit(self, record):
        self.found.append(record.getMessage())


def security(config):
    def context():
        made = aioxmpp.security_layer.default_ssl_context()
        made.load_verify_locations(config["authority"])
        return made
    layer = aioxmpp.make_security_layer(config["password"])
    return layer._replace(ssl_context_factory=context)


class Line:
    """The way of one client to the server, which can be cut."""

    @classmethod
    async def to(cls, host, port):
        line = cls()
        line.target, line.writers, line.tasks = (host, port), [], []
        line.server = await asyncio.start_server(line.on_client, "127.0.0.1", 0)
        line.port = line.server.sockets[0].getsockname()[1]
        return line

    async def on_client(self, reader, writer):
        self.tasks.append(asyncio.current_task())
        there_reader, there_writer = await asyncio.open_connection(*self.target)
        self.writers += [writer, there_writer]
        await asyncio.gather(
            self.passed(reader, there_writer), self.passed(there_reader, writer)
        )

    @staticmethod
    async def passed(reader, writer):
        try:
            while chunk := await reader.read(65536):
                writer.write(chunk)
        except OSError:
            pass  # A broken connection is an end, too.
        writer.close()

    def cut(self):
        """As when a network goes: what is connected now is no more."""
        for writer in self.writers:
            writer.transport.abort()

    async def over(self):
        self.server.close()
        await asyncio.gather(*self.tasks)


class Person:
    def __init__(self, config, name, port=None):
        jid = aioxmpp.JID.fromstr(f"{name}@{config['domain']}")
        self.client = aioxmpp.PresenceManagedClient(jid, security(config))
        peer = (config["host"], port or config["port"], aioxmpp.connector.STARTTLSConnector())
        self.client.override_peer = [peer]
        self.roster = self.client.summon(aioxmpp.RosterClient)
        self.presence = self.client.summon(aioxmpp.PresenceClient)
        self.client.summon(aioxmpp.DiscoServer)
        self.resumed = asyncio.Event()
        self.client.on_stream_resumed.connect(self.on_resumed)
        self.carbons = self.client.summon(aioxmpp.CarbonsClient)
        self.messages = asyncio.Queue()
        self.results = asyncio.Queue()
        self.copies = asyncio.Queue()
        self.contact = asyncio.Event()
        dispatcher = self.client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
        dispatcher.register_callback(None, None, self.on_message)
        self.roster.on_subscribe.connect(self.on_subscribe)
        self.roster.on_entry_subscription_state_changed.connect(self.on_entry)

    def on_resumed(self):
        self.resumed.set()

    def on_message(self, stanza):
        if stanza.mam_result is not None:
            self.results.put_nowait(stanza.mam_result.forwarded.stanza.body.any())
        elif stanza.xep0280_sent is not None:
            self.copies.put_nowait(stanza.xep0280_sent.stanza.body.any())
        elif stanza.body:
            self.messages.put_nowait(stanza.body.any())

    def on_subscribe(self, stanza):
        self.roster.approve(stanza.from_.bare())
        self.roster.subscribe(stanza.from_.bare())

    def on_entry(self, item):
        if item.subscription == "both":
            self.contact.set()

    async def send(self, to, body):
        stanza = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=to)
        stanza.body[None] = body
        await self.client.send(stanza)

    async def page(self, previous):
        query = Query()
        query.page = ResultSetMetadata.limit(5) if previous is None else previous.next_page(5)
        return await self.client.send(aioxmpp.IQ(type_=aioxmpp.IQType.SET, payload=query))


async def take(queue, size):
    async with asyncio.timeout(WAIT_SECONDS):
        return [await queue.get() for _ in range(size)]


async def history(person):
    previous, pages = None, 0
    while previous is None or not previous.complete:
        previous = await person.page(previous and previous.page)
        pages += 1
    return pages


async def resumption(config, line, romeo, juliet):
    """Breaks his connection, or lets whoever runs this do it, who then says a line."""
    own = romeo.client.local_jid
    if config.get("waits"):
        await asyncio.to_thread(sys.stdin.readline)
    else:
        line.cut()
    await juliet.send(own, "while away")
    async with asyncio.timeout(3 * WAIT_SECONDS):
        await romeo.resumed.wait()
    say("resumed", romeo.client.local_jid == own)
    await juliet.send(own, "afterwards")
    say("heard once", await take(romeo.messages, 2))
    await romeo.send(juliet.client.local_jid, "here again")
    say("heard from him", await take(juliet.messages, 1))


async def talk(config, faults):
    line = await Line.to(config["host"], config["port"])
    names = config["names"]
    romeo = Person(config, names[0], line.port)
    desk, juliet = (Person(config, name) for name in names)
    async with romeo.client.connected(), desk.client.connected(), juliet.client.connected():
        own, hers = romeo.client.local_jid, juliet.client.local_jid
        say("roster", len(romeo.roster.items))
        romeo.roster.subscribe(hers.bare())
        async with asyncio.timeout(WAIT_SECONDS):
            await romeo.contact.wait()
            await juliet.contact.wait()
        say("contacts", True)
        await desk.carbons.enable()
        wanted = [f"m{number} <&> 💘" for number in range(MESSAGES)]
        for body in wanted:
            await romeo.send(hers, body)
        say("heard in order", await take(juliet.messages, MESSAGES) == wanted)
        say("copied in order", await take(desk.copies, MESSAGES) == wanted)
        await juliet.send(own, "answer")
        say("answer", await take(romeo.messages, 1))
        await aioxmpp.ping.ping(romeo.client, own.replace(localpart=None, resource=None))
        say("pages", await history(romeo))
        say("history", await take(romeo.results, MESSAGES + 1) == [*wanted, "answer"])
        say("faults", faults.found)
        await resumption(config, line, romeo, juliet)
    await line.over()


async def main():
    faults = Faults()
    logging.getLogger("aioxmpp").addHandler(faults)
    await talk(json.loads(sys.argv[1]), faults)
    # Besides that its connection broke.
    say("faults of the rest", [one for one in faults.found if not one.startswith("stream failed")])


asyncio.run(main())

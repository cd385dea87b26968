"""What clients do with copies and archives, by slixmpp's own plugins: XEP-0280 and XEP-0313.

Reads its configuration (accounts, host, port, authority) as JSON from the first argument and says
what each step came to, one JSON line for each.
"""
import asyncio
import json
import ssl
import sys

import slixmpp
from slixmpp.exceptions import IqError

MESSAGES = 23


def say(step, outcome):
    print(json.dumps({"step": step, "outcome": outcome}), flush=True)


class Client(slixmpp.ClientXMPP):
    def __init__(self, config, name, resource):
        super().__init__(f"{name}@{config['domain']}/{resource}", config["password"])
        for plugin in ("xep_0030", "xep_0059", "xep_0280", "xep_0297", "xep_0313", "xep_0359"):
            self.register_plugin(plugin)
        self.ready = asyncio.get_running_loop().create_future()
        self.sent = asyncio.Queue()
        self.received = asyncio.Queue()
        self.bodies = asyncio.Queue()
        self.ssl_context.load_verify_locations(config["authority"])
        self.ssl_context.verify_mode = ssl.CERT_REQUIRED
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("carbon_sent", lambda msg: self.sent.put_nowait(
            msg["carbon_sent"]["body"]))
        self.add_event_handler("carbon_received", lambda msg: self.received.put_nowait(
            msg["carbon_received"]["body"]))
        self.add_event_handler("message", lambda msg: msg["body"] and self.bodies.put_nowait(
            msg["body"]))
        self.add_event_handler("failed_auth", lambda _: self.ready.set_exception(
            RuntimeError("not authenticated")))
        self.connect(config["host"], config["port"])

    async def on_start(self, _):
        await self.plugin["xep_0280"].enable()
        self.send_presence()
        self.ready.set_result(None)

    async def history(self, **asked):
        found = []
        async for message in self.plugin["xep_0313"].iterate(rsm={"max": 5}, **asked):
            found.append(message["mam_result"]["forwarded"]["stanza"]["body"])
        return found


async def take(queue):
    async with asyncio.timeout(30):
        return await queue.get()


async def main():
    config = json.loads(sys.argv[1])
    phone = Client(config, "romeo", "phone")
    desk = Client(config, "romeo", "desk")
    friend = Client(config, "juliet", "balcony")
    tablet = Client(config, "juliet", "tablet")
    for client in (phone, desk, friend, tablet):
        async with asyncio.timeout(30):
            await client.ready
    info = await phone.plugin["xep_0030"].get_info(jid=phone.boundjid.bare)
    say("archive", "urn:xmpp:mam:2#extended" in info["disco_info"]["features"])
    for number in range(MESSAGES):
        phone.send_message(mto=friend.boundjid.full, mbody=f"m{number}", mtype="chat")
    wanted = [f"m{number}" for number in range(MESSAGES)]
    say("arrived", [await take(friend.bodies) for _ in wanted] == wanted)
    say("sent copies", [await take(desk.sent) for _ in wanted] == wanted)
    say("received copies", [await take(tablet.received) for _ in wanted] == wanted)
    friend.send_message(mto=phone.boundjid.bare, mbody="answer", mtype="chat")
    say("answer", [await take(phone.bodies), await take(desk.bodies), await take(tablet.sent)])
    # An answer from the server comes after what was sent before it is archived.
    for client in (phone, friend):
        await client.plugin["xep_0030"].get_info(jid=config["domain"])
    for client in (phone, desk, friend, tablet):
        say("history", await client.history() == [*wanted, "answer"])
    say("reversed", await desk.history(reverse=True) == [*wanted, "answer"][::-1])
    say("with", await desk.history(with_jid=friend.boundjid.full) == [*wanted, "answer"])
    say("with nobody", await desk.history(with_jid=f"nobody@{config['domain']}"))
    form = await desk.plugin["xep_0313"].get_fields()
    say("fields", sorted(form.get_fields().keys()))
    metadata = (await desk.plugin["xep_0313"].get_archive_metadata())["mam_metadata"]
    say("metadata", metadata["start"]["id"] < metadata["end"]["id"])
    try:
        await desk.plugin["xep_0313"].retrieve(jid=friend.boundjid.bare)
        say("another's", "result")
    except IqError as error:
        say("another's", error.condition)
    await desk.plugin["xep_0280"].disable()
    phone.send_message(mto=friend.boundjid.bare, mbody="unseen", mtype="chat")
    say("unseen", [await take(friend.bodies), await take(tablet.bodies), desk.sent.qsize()])
    for client in (phone, desk, friend, tablet):
        await client.disconnect(wait=1)


asyncio.run(main())

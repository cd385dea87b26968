"""An echoing component by slixmpp, and a user who writes to it and subscribes to its presence.

Reads its configuration (accounts, host, port, authority, the component) as JSON from the first
argument and says what each step came to, one JSON line for each.
"""
import asyncio
import json
import ssl
import sys

import slixmpp
from slixmpp.componentxmpp import ComponentXMPP
from slixmpp.exceptions import IqError

MESSAGES = 200
STANZA_ERROR = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


def say(step, outcome):
    print(json.dumps({"step": step, "outcome": outcome}), flush=True)


class Echo(ComponentXMPP):
    """Answers messages, iqs (by its plugins), subscriptions and probes."""

    def __init__(self, config, secret):
        component = config["component"]
        super().__init__(component["domain"], secret, config["host"], component["port"])
        for plugin in ("xep_0030", "xep_0199"):
            self.register_plugin(plugin)
        self.auto_authorize = True
        self.auto_subscribe = False
        self.ready = asyncio.get_running_loop().create_future()
        self.refused = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", lambda _: self.ready.set_result(True))
        self.add_event_handler("stream_error", self.on_error)
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("presence_probe", self.on_probe)
        self.connect()

    def on_error(self, error):
        if not self.refused.done():
            self.refused.set_result(error["condition"])

    def on_message(self, message):
        if message["type"] in ("chat", "normal"):
            message.reply(f"echo {message['body']}").send()

    def on_probe(self, presence):
        self.send_presence(pto=presence["from"], pfrom=presence["to"], pshow="chat")


class User(slixmpp.ClientXMPP):
    def __init__(self, config, name):
        super().__init__(f"{name}@{config['domain']}/{name}", config["password"])
        for plugin in ("xep_0030", "xep_0199"):
            self.register_plugin(plugin)
        self.auto_authorize = True
        self.auto_subscribe = False
        self.heard = asyncio.Queue()
        self.seen = asyncio.Queue()
        self.ready = asyncio.get_running_loop().create_future()
        self.ssl_context.load_verify_locations(config["authority"])
        self.ssl_context.verify_mode = ssl.CERT_REQUIRED
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", lambda one: self.heard.put_nowait(
            (str(one["from"]), one["body"])))
        self.add_event_handler("message_error", lambda one: self.heard.put_nowait(
            (one["error"]["type"], one["error"]["condition"])))
        self.add_event_handler("presence_available", self.on_presence)
        self.connect(config["host"], config["port"])

    def on_presence(self, presence):
        if presence["from"].bare != self.boundjid.bare:
            self.seen.put_nowait((str(presence["from"]), presence["type"]))

    async def on_start(self, _):
        await self.get_roster()
        self.send_presence()
        self.ready.set_result(True)


async def within(awaitable):
    async with asyncio.timeout(30):
        return await awaitable


async def main():
    config = json.loads(sys.argv[1])
    domain = config["component"]["domain"]
    impostor = Echo(config, "wrong")
    say("wrong secret", await within(impostor.refused))
    impostor.abort()
    romeo = User(config, "romeo")
    await within(romeo.ready)
    romeo.send_message(f"early@{domain}", "hi", mtype="chat")
    say("nobody there", await within(romeo.heard.get()))
    echo = Echo(config, config["component"]["secret"])
    await within(echo.ready)
    for number in range(MESSAGES):
        romeo.send_message(f"bot@{domain}", str(number), mtype="chat")
    answers = [await within(romeo.heard.get()) for _ in range(MESSAGES)]
    say("echoed in order", answers == [(f"bot@{domain}", f"echo {n}") for n in range(MESSAGES)])
    items = await within(romeo.plugin["xep_0030"].get_items(jid=config["domain"]))
    say("listed", sorted(item[0] for item in items["disco_items"]["items"]))
    info = await within(romeo.plugin["xep_0030"].get_info(jid=domain))
    say("described", "urn:xmpp:ping" in info["disco_info"]["features"])
    say("user pings it", (await within(romeo.plugin["xep_0199"].send_ping(domain)))["type"])
    ping = echo.plugin["xep_0199"].send_ping(config["domain"], ifrom=domain)
    say("it pings the server", (await within(ping))["type"])
    romeo.send_presence(pto=f"bot@{domain}", ptype="subscribe")
    say("sees it", await within(romeo.seen.get()))
    roster = echo.make_iq_get("jabber:iq:roster", ito=romeo.boundjid.bare, ifrom=domain)
    try:
        say("reads a roster", (await within(roster.send()))["type"])
    except IqError as error:
        # The library looks for a component's errors in the namespace of clients.
        conditions = (one.tag for one in error.iq.xml.iter() if one.tag.startswith(STANZA_ERROR))
        say("reads a roster", next(conditions).removeprefix(STANZA_ERROR))
    say("done", True)


asyncio.run(main())

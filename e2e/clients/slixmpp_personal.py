"""What clients do with their user's own things, by slixmpp's own plugins: blocking, files, commands.

Reads its configuration (accounts, host, port, authority) as JSON from the first argument and says
what each step came to, one JSON line for each.
"""
import asyncio
import json
import ssl
import sys
import urllib.request

import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0048.stanza import Bookmarks
from slixmpp.xmlstream import ET

UPLOAD = "urn:xmpp:http:upload:0"


def say(step, outcome):
    print(json.dumps({"step": step, "outcome": outcome}), flush=True)


class Client(slixmpp.ClientXMPP):
    def __init__(self, config, name):
        super().__init__(f"{name}@{config['domain']}/{name}", config["password"])
        for plugin in ("xep_0004", "xep_0012", "xep_0030", "xep_0048", "xep_0049", "xep_0050",
                       "xep_0054", "xep_0133", "xep_0191", "xep_0352"):
            self.register_plugin(plugin)
        self.auto_authorize = True
        self.auto_subscribe = True
        self.heard = asyncio.Queue()
        self.ready = asyncio.get_running_loop().create_future()
        self.ssl_context.load_verify_locations(config["authority"])
        self.ssl_context.verify_mode = ssl.CERT_REQUIRED
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", lambda one: self.hear(one["type"], one["body"]))
        self.add_event_handler("message_error", lambda one: self.hear(
            "error", one["error"]["condition"]))
        self.add_event_handler("presence", self.on_presence)
        self.add_event_handler("blocked", lambda _: self.hear("push", "blocked"))
        self.connect(config["host"], config["port"])

    def hear(self, kind, what):
        self.heard.put_nowait((kind, what))

    def on_presence(self, presence):
        is_subscription = presence["type"].startswith(("subscribe", "unsubscribe"))
        if presence["from"].bare != self.boundjid.bare and not is_subscription:
            self.hear("presence", presence["type"])

    async def on_start(self, _):
        await self.get_roster()
        self.send_presence()
        self.ready.set_result(None)

    async def hears(self, *wanted):
        """The next of these kinds; what else comes is not waited for."""
        async with asyncio.timeout(30):
            while True:
                kind, what = await self.heard.get()
                if kind in wanted:
                    return [kind, what]


    async def sees(self, kind):
        """Whether presence of this kind comes, perhaps after others."""
        while (await self.hears("presence"))[1] != kind:
            pass
        return True


async def outcome(request):
    try:
        return (await request)["type"]
    except IqError as error:
        return error.condition


async def blocking(romeo, juliet):
    romeo.send_presence(pto=juliet.boundjid.bare, ptype="subscribe")
    say("friends", [await romeo.sees("available"), await juliet.sees("available")])
    blocker = juliet.plugin["xep_0191"]
    say("nobody blocked", sorted(await blocker.get_blocked_jids()))
    say("block", await outcome(blocker.block(romeo.boundjid.bare)))
    say("pushed", await juliet.hears("push"))
    say("gone", await romeo.sees("unavailable"))
    romeo.send_message(juliet.boundjid.bare, "hi", mtype="chat")
    say("refused", await romeo.hears("error"))
    juliet.send_message(romeo.boundjid.bare, "hi", mtype="chat")
    say("not to be reached", await juliet.hears("error"))
    blocked = await blocker.get_blocked_jids()
    say("blocked", [jid.bare == romeo.boundjid.bare for jid in blocked])
    say("unblock", await outcome(blocker.unblock(romeo.boundjid.bare)))
    say("back", await romeo.sees("available"))
    romeo.send_message(juliet.boundjid.bare, "again", mtype="chat")
    say("heard", await juliet.hears("chat"))


async def states(romeo, juliet):
    while not juliet.heard.empty():
        juliet.heard.get_nowait()
    juliet.plugin["xep_0352"].send_inactive()
    await juliet.plugin["xep_0030"].get_info(juliet.boundjid.domain)  # It has been heard of.
    for show in ("away", "dnd", "xa"):
        romeo.send_presence(pshow=show)
    romeo.send_message(juliet.boundjid.bare, "wake up", mtype="chat")
    heard = [await juliet.hears("presence", "chat") for _ in range(2)]
    say("the last presence and the message", heard)
    juliet.plugin["xep_0352"].send_active()


async def things(romeo, juliet):
    card = romeo.plugin["xep_0054"].make_vcard()
    card["FN"] = "Romeo Montague"
    await romeo.plugin["xep_0054"].publish_vcard(card)
    read = await juliet.plugin["xep_0054"].get_vcard(romeo.boundjid.bare, cached=False)
    say("vcard", read["vcard_temp"]["FN"])
    bookmarks = Bookmarks()
    bookmarks.add_conference("room@conference.example.org", "me")
    say("stored", await outcome(romeo.plugin["xep_0049"].store(bookmarks)))
    kept = await romeo.plugin["xep_0049"].retrieve("bookmarks")
    say("retrieved", [str(one["jid"]) for one in kept["private"]["bookmarks"]["conferences"]])
    last = await juliet.plugin["xep_0012"].get_last_activity(romeo.boundjid.bare)
    say("last", last["last_activity"]["seconds"])


def transfer(url, data=None):
    request = urllib.request.Request(url, data=data, method="PUT" if data else "GET")
    request.add_header("Content-Type", "image/png")
    with urllib.request.urlopen(request) as response:
        return response.status, response.read()


def slot_request(client, service, **attributes):
    """By hand: the library's plugin needs a package that it does not bring along."""
    request = client.make_iq_get(ito=service)
    request.append(ET.Element(f"{{{UPLOAD}}}request", attributes))
    return request.send()


async def files(romeo):
    found = await romeo.plugin["xep_0030"].get_info_from_domain()
    [service] = [info["from"] for info in found if UPLOAD in info["disco_info"]["features"]]
    slot = await slot_request(romeo, service, filename="a b.png", size="5",
                              **{"content-type": "image/png"})
    urls = [slot.xml.find(f".//{{{UPLOAD}}}{one}").attrib["url"] for one in ("put", "get")]
    put, _ = await asyncio.to_thread(transfer, urls[0], b"hello")
    get, content = await asyncio.to_thread(transfer, urls[1])
    say("file", [put, get, content.decode()])
    say("too large", await outcome(slot_request(romeo, service, filename="a", size="9999999999999")))


async def commands(bard, romeo):
    found = await bard.plugin["xep_0133"].get_commands()
    nodes = [node.split("#")[1] for _, node, _ in found["disco_items"]["items"]]
    say("commands", "add-user" in nodes)
    done = asyncio.get_running_loop().create_future()

    def filled(_, session):
        form = bard.plugin["xep_0004"].make_form("submit")
        form.add_field(var="announcement", value="Curtain")
        session["payload"] = [form]
        session["next"] = lambda last, _: done.set_result(last["command"]["status"])
        bard.plugin["xep_0050"].complete_command(session)

    bard.plugin["xep_0133"].announce(session={
        "next": filled, "error": lambda iq, _: done.set_result(iq["error"]["condition"])})
    say("announced", await asyncio.wait_for(done, 30))
    say("heard by all", await romeo.hears("headline"))


async def main():
    config = json.loads(sys.argv[1])
    romeo, juliet, bard = (Client(config, name) for name in ("romeo", "juliet", "bard"))
    await asyncio.gather(romeo.ready, juliet.ready, bard.ready)
    await blocking(romeo, juliet)
    await states(romeo, juliet)
    await things(romeo, juliet)
    await files(romeo)
    await commands(bard, romeo)
    say("done", True)
    for client in (romeo, juliet, bard):
        await client.disconnect()


asyncio.run(main())

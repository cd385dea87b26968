"""What clients do with personal eventing, by slixmpp's own plugins: OMEMO, avatars, bookmarks.

Reads its configuration (accounts, host, port, authority) as JSON from the first argument and says
what each step came to, one JSON line for each.
"""
import asyncio
import base64
import hashlib
import json
import ssl
import sys

import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0048.stanza import Bookmarks
from slixmpp.xmlstream import ET

DEVICES = "urn:xmpp:omemo:2:devices"
BUNDLES = "urn:xmpp:omemo:2:bundles"
OLD_DEVICES = "eu.siacs.conversations.axolotl.devicelist"
BOOKMARKS = "urn:xmpp:bookmarks:1"
METADATA = "urn:xmpp:avatar:metadata"
PICTURE = b"\x89PNG a picture"


def say(step, outcome):
    print(json.dumps({"step": step, "outcome": outcome}), flush=True)


class Client(slixmpp.ClientXMPP):
    def __init__(self, config, name, resource, interests):
        super().__init__(f"{name}@{config['domain']}/{resource}", config["password"])
        for plugin in ("xep_0004", "xep_0030", "xep_0048", "xep_0049", "xep_0054", "xep_0060",
                       "xep_0084", "xep_0115", "xep_0163", "xep_0402"):
            self.register_plugin(plugin)
        self.auto_authorize = True
        self.auto_subscribe = True
        self.published = asyncio.Queue()
        self.ready = asyncio.get_running_loop().create_future()
        self.ssl_context.load_verify_locations(config["authority"])
        self.ssl_context.verify_mode = ssl.CERT_REQUIRED
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("pubsub_publish", self.on_publish)
        self.add_event_handler("failed_auth", lambda _: self.ready.set_exception(
            RuntimeError("not authenticated")))
        self.interests = interests
        self.connect(config["host"], config["port"])

    async def on_start(self, _):
        await self.get_roster()
        self.plugin["xep_0163"].add_interest(list(self.interests))
        await self.plugin["xep_0115"].update_caps(broadcast=False)
        self.send_presence()
        self.ready.set_result(None)

    def on_publish(self, message):
        # The library is in the middle of its own loop over the stanza's items.
        items = message["pubsub_event"]["items"].xml
        for item in items.findall("{http://jabber.org/protocol/pubsub#event}item"):
            self.published.put_nowait(
                (message["from"].bare, items.attrib["node"], item.attrib["id"], item[0]))

    async def hears(self, node):
        """The next event of a node; what else comes is not waited for."""
        async with asyncio.timeout(30):
            while True:
                sender, of, item, payload = await self.published.get()
                if of == node:
                    return sender, item, payload

    @property
    def pubsub(self):
        return self.plugin["xep_0060"]

    def options(self, form_type="http://jabber.org/protocol/pubsub#publish-options", **fields):
        form = self.plugin["xep_0004"].make_form("submit")
        form.add_field(var="FORM_TYPE", ftype="hidden", value=form_type)
        for name, value in fields.items():
            form.add_field(var=f"pubsub#{name}", value=value)
        return form


async def outcome(request):
    try:
        return (await request)["type"]
    except IqError as error:
        own = [child.tag.split("}")[1] for child in error.iq["error"].xml
               if "pubsub#errors" in child.tag]
        return " ".join([error.condition, *own])


def device_list(*ids):
    devices = ET.Element("{urn:xmpp:omemo:2}devices")
    for one in ids:
        ET.SubElement(devices, "{urn:xmpp:omemo:2}device", {"id": str(one)})
    return devices


def devices_in(payload):
    return [device.attrib["id"] for device in payload]


def bundle(one):
    whole = ET.Element("{urn:xmpp:omemo:2}bundle")
    ET.SubElement(whole, "{urn:xmpp:omemo:2}spk", {"id": "1"}).text = f"key of {one}"
    for index in range(100):
        ET.SubElement(whole, "{urn:xmpp:omemo:2}pk", {"id": str(index)}).text = "A" * 44
    return whole


async def announce(client, one, known):
    """Publishes a device's bundle and the list with the device in it, as OMEMO's section 5 says."""
    open_to_all = client.options(access_model="open", max_items="max")
    say(f"bundle {one}", await outcome(client.pubsub.publish(
        None, BUNDLES, id=str(one), payload=bundle(one), options=open_to_all)))
    say(f"devices {one}", await outcome(client.pubsub.publish(
        None, DEVICES, id="current", payload=device_list(*known, one),
        options=client.options(access_model="open"))))


async def items(client, jid, node, *ids):
    answer = await client.pubsub.get_items(jid, node, item_ids=ids or None)
    return list(answer["pubsub"]["items"])


async def omemo(phone, desk, friend, stranger):
    me = phone.boundjid.bare
    say("no devices yet", await outcome(phone.pubsub.get_items(None, DEVICES)))
    await announce(phone, 1, [])
    sender, item, payload = await friend.hears(DEVICES)
    say("friend hears", [sender == me, item, devices_in(payload)])
    [current] = await items(desk, None, DEVICES)
    await announce(desk, 2, devices_in(current["payload"]))
    await phone.hears(DEVICES)
    _, _, payload = await phone.hears(DEVICES)
    say("phone hears of desk", devices_in(payload))
    [current] = await items(stranger, me, DEVICES)
    wanted = devices_in(current["payload"])
    bundles = await items(stranger, me, BUNDLES, *wanted)
    say("stranger reads bundles", [[one["id"], len(one["payload"])] for one in bundles])
    say("device removed", await outcome(desk.pubsub.retract(None, BUNDLES, "1", notify="true")))
    say("bundles left", [one["id"] for one in await items(stranger, me, BUNDLES)])


async def precondition(phone):
    """A node that is not as it should be: configured, then published to, as Conversations does."""
    open_to_all = phone.options(access_model="open")
    payload = ET.Element("{eu.siacs.conversations.axolotl}list")

    def publish(options=None):
        return phone.pubsub.publish(None, OLD_DEVICES, id="current", payload=payload,
                                    options=options)
    say("made by default", await outcome(publish()))
    say("precondition", await outcome(publish(open_to_all)))
    config = await phone.pubsub.get_node_config(None, OLD_DEVICES)
    model = config["pubsub_owner"]["configure"]["form"].get_fields()["pubsub#access_model"]
    say("was", model["value"])
    node_config = phone.options("http://jabber.org/protocol/pubsub#node_config",
                                access_model="open")
    say("configured", await outcome(phone.pubsub.set_node_config(None, OLD_DEVICES, node_config)))
    say("published", await outcome(publish(open_to_all)))
    say("deleted", await outcome(phone.pubsub.delete_node(None, OLD_DEVICES)))


async def avatars(phone, friend):
    me = phone.boundjid.bare
    image = hashlib.sha1(PICTURE).hexdigest()
    say("picture", await outcome(phone.plugin["xep_0084"].publish_avatar(PICTURE)))
    say("metadata", await outcome(phone.plugin["xep_0084"].publish_avatar_metadata(
        [{"id": image, "type": "image/png", "bytes": str(len(PICTURE))}])))
    _, item, _ = await friend.hears(METADATA)
    say("friend hears of the picture", item == image)
    data = await friend.plugin["xep_0084"].retrieve_avatar(me, image)
    say("retrieved", data["pubsub"]["items"]["item"]["avatar_data"]["value"] == PICTURE)
    vcard = await friend.plugin["xep_0054"].get_vcard(me, cached=False)
    encoded = vcard["vcard_temp"].xml.find("{vcard-temp}PHOTO/{vcard-temp}BINVAL").text
    say("in the vCard", base64.b64decode(encoded) == PICTURE)


async def bookmarks(phone, desk):
    room = "room@conference.example.org"
    payload = ET.Element(f"{{{BOOKMARKS}}}conference", {"name": "Room", "autojoin": "true"})
    ET.SubElement(payload, f"{{{BOOKMARKS}}}nick").text = "me"
    wanted = phone.options(persist_items="true", max_items="max", access_model="whitelist",
                           send_last_published_item="never")
    say("bookmarked", await outcome(phone.pubsub.publish(
        None, BOOKMARKS, id=room, payload=payload, options=wanted)))
    sender, item, _ = await desk.hears(BOOKMARKS)
    say("desk hears of the bookmark", item)
    # The plugin's way to XEP-0049.
    kept = await desk.plugin["xep_0049"].retrieve("bookmarks")
    say("old list", [[one["jid"], one["name"], one["autojoin"], one["nick"]]
                     for one in kept["private"]["bookmarks"]["conferences"]])
    old = Bookmarks()
    old.add_conference("other@conference.example.org", "me", name="Other", autojoin=False)
    say("old list set", await outcome(desk.plugin["xep_0049"].store(old)))
    say("bookmarks", [one["id"] for one in await items(phone, None, BOOKMARKS)])


async def main():
    config = json.loads(sys.argv[1])
    wants = {DEVICES, METADATA, BOOKMARKS}
    phone = Client(config, "romeo", "phone", wants)
    desk = Client(config, "romeo", "desk", wants)
    friend = Client(config, "juliet", "balcony", wants)
    stranger = Client(config, "tybalt", "street", wants)
    for client in (phone, desk, friend, stranger):
        async with asyncio.timeout(30):
            await client.ready
    seen = asyncio.get_running_loop().create_future()
    friend.add_event_handler("changed_status", lambda presence: (
        presence["from"].bare == phone.boundjid.bare and not seen.done() and seen.set_result(None)))
    friend.send_presence_subscription(pto=phone.boundjid.bare, ptype="subscribe")
    async with asyncio.timeout(30):
        await seen
    await omemo(phone, desk, friend, stranger)
    await precondition(phone)
    await avatars(phone, friend)
    await bookmarks(phone, desk)
    say("done", True)
    for client in (phone, desk, friend, stranger):
        await client.disconnect(wait=1)


asyncio.run(main())

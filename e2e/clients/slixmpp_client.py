"""A slixmpp client driven by JSON lines: see contract.ts for the commands and events."""
import asyncio
import json
import ssl
import sys

import slixmpp

RECONNECT_SECONDS = 0.3


def emit(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


class Driver(slixmpp.ClientXMPP):
    def __init__(self, config):
        resource = config.get("resource")
        address = config["address"] if resource is None else f"{config['address']}/{resource}"
        super().__init__(address, config["password"])
        self.config = config
        self.closing = False
        self.online = False
        self.unsent = []
        # By id, in order: what the server has not acknowledged.
        self.written = {}
        # slixmpp's defaults for roster requests: accept them, and ask back.
        self.auto_authorize = True
        self.auto_subscribe = True
        self.register_plugin("xep_0198", {"window": 5, "allow_resume": True})
        self.register_plugin("xep_0199")
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0092")
        context = self.ssl_context
        context.load_verify_locations(config["authority"])
        context.check_hostname = True
        context.verify_mode = ssl.CERT_REQUIRED
        if config.get("tlsMax") == "1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        for name, handler in (
            ("session_start", self.on_start),
            ("session_resumed", self.on_resumed),
            ("sm_failed", self.on_not_resumed),
            ("message", self.on_message),
            ("presence", self.on_presence),
            ("stanza_acked", self.on_acked),
            ("disconnected", self.on_disconnected),
            ("connection_failed", self.on_connection_failed),
            ("auth_success", self.on_authenticated),
            ("failed_auth", lambda _: emit("refused")),
            ("roster_update", self.on_roster),
            ("stream_error", lambda e: emit("stream-error", condition=e["condition"])),
        ):
            self.add_event_handler(name, handler)

    def dial(self):
        hosts = self.config["hosts"]
        host = hosts[self.config.setdefault("next", 0) % len(hosts)]
        self.config["next"] += 1
        self.connect(host["host"], host["port"])

    async def on_start(self, _):
        await self.get_roster()
        # Initial presence first: the server may have messages waiting that are older than ours.
        self.send_presence()
        emit("online", address=self.boundjid.full)
        self.write_unsent()

    def on_authenticated(self, _):
        emit("authenticated", mechanism=self["feature_mechanisms"].mech.name)

    async def on_resumed(self, _):
        # The library sends again what the server had not handled, but for what was in its send
        # queue when the connection broke: that is in no queue any more (COMPAT slixmpp 1.17).
        queued = {stanza["id"] for _, stanza in self["xep_0198"].unacked_queue}
        forgotten = [fields for id, fields in self.written.items() if id not in queued]
        self.unsent = forgotten + self.unsent
        emit("resumed")
        self.write_unsent()

    def on_not_resumed(self, _):
        """What the server did not acknowledge is ours to send again."""
        for id in self.written:
            emit("resent", id=id)
        self.unsent = [*self.written.values(), *self.unsent]
        self.written = {}

    def write_unsent(self):
        self.online = True
        waiting, self.unsent = self.unsent, []
        for fields in waiting:
            self.message(fields)

    def on_message(self, stanza):
        if stanza["type"] == "error":
            emit("bounced", id=stanza["id"], condition=stanza["error"]["condition"])
        elif stanza["body"]:
            delayed = stanza.xml.find("{urn:xmpp:delay}delay") is not None
            emit("message", sender=stanza["from"].full, id=stanza["id"], body=stanza["body"],
                 delayed=delayed)

    def on_presence(self, stanza):
        emit("presence", sender=stanza["from"].full, type=stanza["type"])

    def on_roster(self, _):
        items = {}
        for jid in self.client_roster.keys():
            if jid != self.boundjid.bare:
                items[jid] = self.client_roster[jid]["subscription"]
        emit("roster", items=items)

    def on_acked(self, stanza):
        if isinstance(stanza, slixmpp.Message):
            self.written.pop(stanza["id"], None)
            emit("acked", id=stanza["id"])

    def on_connection_failed(self, reason):
        emit("connection-failed", reason=str(reason))

    async def on_disconnected(self, reason):
        emit("offline", reason=str(reason))
        self.online = False
        sm = self["xep_0198"]
        if sm.sm_id is None:
            self.on_not_resumed(None)
            self.event("session_end")
        if self.closing:
            return
        await asyncio.sleep(RECONNECT_SECONDS)
        self.dial()

    def message(self, fields):
        stanza = self.make_message(mto=fields["to"], mbody=fields["body"], mtype="chat")
        stanza["id"] = fields["id"]
        self.written[fields["id"]] = fields
        stanza.send()

    async def command(self, fields):
        do = fields["do"]
        if do == "message":
            if self.is_connected() and self.online:
                self.message(fields)
            else:
                self.unsent.append(fields)
        elif do == "subscribe":
            self.send_presence_subscription(pto=fields["to"], ptype="subscribe")
        elif do == "presence":
            self.send_presence(ptype=fields.get("type"))
        elif do == "ack":
            self["xep_0198"].request_ack()
        elif do == "drop":
            self.abort()
        elif do == "ping":
            seconds = await self["xep_0199"].ping(fields.get("to"))
            emit("pong", seconds=seconds)
        elif do == "close":
            self.closing = True
            self["xep_0198"].send_ack()
            await self.disconnect(wait=2)
            sys.exit(0)


async def main():
    config = json.loads(sys.argv[1])
    driver = Driver(config)
    driver.dial()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        await driver.command(json.loads(line))


asyncio.run(main())

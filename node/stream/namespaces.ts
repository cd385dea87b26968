/** Namespaces of the stream itself and of what is negotiated on it. */
export const NS_STREAM = "http://etherx.jabber.org/streams";
export const NS_CLIENT = "jabber:client";
export const NS_STREAM_ERROR = "urn:ietf:params:xml:ns:xmpp-streams";
export const NS_STANZA_ERROR = "urn:ietf:params:xml:ns:xmpp-stanzas";
export const NS_TLS = "urn:ietf:params:xml:ns:xmpp-tls";
export const NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
export const NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind";
/** RFC 3921, 3: gone from RFC 6121, still sent by older clients. */
export const NS_SESSION = "urn:ietf:params:xml:ns:xmpp-session";
export const NS_ACKS = "urn:xmpp:sm:3";
export const NS_REGISTER = "jabber:iq:register";
export const NS_CSI = "urn:xmpp:csi:0";
export const NS_SASL2 = "urn:xmpp:sasl:2";
export const NS_BIND2 = "urn:xmpp:bind:0";
/** RFC 7395. */
export const NS_FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
export const NS_FAST = "urn:xmpp:fast:0";

/** Namespaces of XEP-0060, and the forms it names. */
export const PUBSUB = "http://jabber.org/protocol/pubsub";
export const OWNER = `${PUBSUB}#owner`;
export const EVENT = `${PUBSUB}#event`;
export const ERRORS = `${PUBSUB}#errors`;
export const NODE_CONFIG = `${PUBSUB}#node_config`;
export const PUBLISH_OPTIONS = `${PUBSUB}#publish-options`;
export const META_DATA = `${PUBSUB}#meta-data`;
export const SHIM = "http://jabber.org/protocol/shim";
export const AUTHORIZATION = `${PUBSUB}#subscribe_authorization`;

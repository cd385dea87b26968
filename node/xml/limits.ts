/** Bounds on XML that no configuration lifts; the size of a stanza is set per connection. */

/** Levels of elements in a stanza, its top element being the first. */
export const DEPTH_MAX = 64;
/** Levels in what the server writes or reads back: a stanza that it wrapped is deeper. */
export const OWN_DEPTH_MAX = 128;
/** Bytes of a stream header, and of the XML declaration before it. */
export const HEADER_BYTES_MAX = 4_096;
export const ATTRIBUTES_MAX = 128;
/** Characters of an element's or attribute's name. */
export const NAME_LENGTH_MAX = 256;
/** Characters of a namespace name. */
export const NS_LENGTH_MAX = 1_024;
/** Elements directly in the top element. */
export const CHILDREN_MAX = 256;
/** Elements of a stanza altogether: bounds the memory of its tree. */
export const ELEMENTS_MAX = 16_384;
/** Prefixes declared at once at one place in a stanza. */
export const PREFIXES_MAX = 64;

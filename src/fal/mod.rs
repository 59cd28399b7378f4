//! What fal's protocol looks like: paths, headers, and the few JSON fields that the relay touches. Pure: nothing here
//! reads a socket, a clock or a store.

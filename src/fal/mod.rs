//! What fal's protocol looks like: paths, headers, and the few JSON fields that the relay touches. Pure: nothing here
//! reads a socket, a clock or a store.

mod endpoint;
mod headers;
mod inflate;
mod json;
mod rewrite;
mod route;
mod sse;
mod tags;
mod target;
mod upload;
pub mod webhook;

pub use endpoint::{AppBase, BadEndpoint, Endpoint};
pub use headers::{AcceptEncoding, for_client, for_fal};
pub use inflate::{Inflate, InflateError};
pub use json::{replace_top_level, top_level_strings};
pub use rewrite::{Addresses, Rewriter};
pub use route::{
    Call, FollowUp, Role, RouteError, Storage, TokenForm, parse, parse_socket, query_for_fal, take_token,
    through_a_router, webhooks_of,
};
pub use tags::{RELAY_TAG, X_FAL_TAGS, relay_tag, tags};
pub use target::{Target, TargetHosts, X_FAL_TARGET_URL, target_below};
pub use upload::{BYTES_PATH, CDN_PATH, Door, Piece, Upload};

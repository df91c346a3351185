//! Remote command (exec, attach) and port-forward streams: what kubectl speaks on one side and a CRI
//! streaming server on the other.
//!
//! It is: SPDY/3.1 framing ([`spdy`]), the WebSocket sub-protocols `v5.channel.k8s.io` down to
//! `base64.channel.k8s.io` ([`remotecommand`]), the `SPDY/3.1+portforward.k8s.io` tunnel
//! ([`portforward`]), plain bytes as `binary.k8s.io` ([`reader`]), watches ([`events`]) and the HTTP/1.1 upgrades below them
//! ([`upgrade`]).
//! It is not: authentication, routing, or anything that knows pods; callers resolve a streaming URL
//! first.
//!
//! Which peer understands what decides the shape: containerd's streaming server knows SPDY/3.1 and
//! WebSocket v4, but v4 cannot say "stdin has ended", so WebSocket clients are always terminated here
//! and carried on over SPDY, while SPDY clients are proxied byte for byte ([`bridge`]).
//!
//! Start at [`bridge::serve`].

pub mod bridge;
pub mod events;
pub mod portforward;
pub mod reader;
pub mod remotecommand;
pub mod spdy;
pub mod upgrade;
pub mod websocket;

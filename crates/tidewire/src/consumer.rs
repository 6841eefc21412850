//! Reading a stream through a durable consumer: made, pulled, settled.

mod declare;
mod in_hand;
mod pull;
mod puller;
mod settle;

pub(crate) use declare::{ConsumerSpec, Depth, declare};
pub(crate) use puller::Puller;

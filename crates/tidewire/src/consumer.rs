//! Reading a stream through a durable consumer: made, pulled, settled.

mod ack_subject;
mod declare;
mod desk;
mod gate;
mod in_hand;
mod ordered;
mod place;
mod pull;
mod puller;
mod replay;
mod runs;
mod say;
mod settle;
mod work;

pub(crate) use declare::{ACK_WAIT, ConsumerSpec, Depth, declare};
pub(crate) use desk::Desk;
pub(crate) use gate::{Gate, Rate};
pub(crate) use ordered::{Events, Lease, Ordered, Parking};
pub(crate) use place::Place;
pub(crate) use puller::Puller;
pub(crate) use runs::Runs;
pub(crate) use work::Work;

//! What operators ask and do, against a real server.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod attempts;
mod carry;
mod deadlines;
mod discard;
mod edit;
mod lag;
#[path = "../support/letters.rs"]
mod letters;
mod listing;
mod replay;
mod republish;
mod violations;

//! What the framework promises, against a real nats-server.

mod support;

mod delivery;

//! Properties of the grammar, without a server.

mod filters;
mod keys;
mod names;
mod subjects;

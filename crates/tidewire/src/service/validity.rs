//! The schemas of a service's messages, compiled when it starts.

use std::sync::Arc;

use tidewire_core::{MessageManifest, MessageType, Validity};

use super::{Service, check};
use crate::{schemas::Schemas, start_error::StartError};

/// Compiles what the service holds against its schema: the messages that each handler takes into its route, those that
/// it sends and the answers that it gets into what is given back.
pub(super) fn prepare<S>(service: &mut Service<S>) -> Result<Schemas, StartError> {
    let mut schemas = Schemas::default();
    let mut problems = Vec::new();
    if service.validates_sent {
        schemas.sent = compile(check::all(service), &mut problems);
    }
    if service.validates_received {
        let handlers = service.routes.iter().flat_map(|route| &route.sends.asks);
        schemas.answers = compile(handlers.chain(&service.asks), &mut problems);
        for route in &mut service.routes {
            route.schemas = compile(&route.takes, &mut problems);
        }
    }
    if problems.is_empty() {
        return Ok(schemas);
    }
    Err(StartError::Declaration {
        service: service.name.clone(),
        problems,
    })
}

fn compile<'a>(
    messages: impl IntoIterator<Item = &'a (MessageType, MessageManifest)>,
    problems: &mut Vec<String>,
) -> Option<Arc<Validity>> {
    let messages = messages.into_iter();
    let named = messages.map(|(contract, message)| (contract.name, message));
    match Validity::new(named) {
        Ok(validity) => Some(Arc::new(validity)),
        Err(found) => {
            problems.extend(found);
            None
        }
    }
}

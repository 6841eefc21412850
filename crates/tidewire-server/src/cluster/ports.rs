//! Ports that the nodes use among themselves; every node must know all of them before the first one starts.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::ServerError;
use crate::error::During as _;

/// Below those that Linux and macOS give to outgoing connections: the port of a node that was killed must still be
/// free when it restarts, while the other nodes keep trying to reach it.
const CHOICE: Range<u16> = 20_000..32_000;

/// Chooses this many different ports that are free at the moment.
pub(super) fn free(count: usize) -> Result<Vec<u16>, ServerError> {
    // Held until all are chosen, so that none is chosen twice.
    let mut held = Vec::with_capacity(count);
    let mut last = None;
    for _ in 0..count * 100 {
        if held.len() == count {
            break;
        }
        match TcpListener::bind((Ipv4Addr::LOCALHOST, candidate())) {
            Ok(listener) => held.push(listener),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) if held.len() < count => Err(error),
        _ => held
            .iter()
            .map(|listener| Ok(listener.local_addr()?.port()))
            .collect(),
    }
    .during(|| format!("find {count} free ports on 127.0.0.1"))
}

fn candidate() -> u16 {
    // Every `RandomState` has keys of its own, which is all the chance that is needed here.
    let random = RandomState::new().hash_one(0) % u64::from(CHOICE.end - CHOICE.start);
    CHOICE.start + u16::try_from(random).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_ports_differ_and_can_be_had() {
        let mut ports = free(9).unwrap();
        let held: Vec<_> = ports
            .iter()
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).unwrap())
            .collect();
        assert!(ports.iter().all(|port| CHOICE.contains(port)));
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), held.len());
    }
}

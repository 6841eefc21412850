//! What a durable does with messages that fail, in words.

use tidewire::{PolicyManifest, Quality};

/// A line for each part of the policy.
pub(crate) fn lines(policy: &PolicyManifest) -> Vec<String> {
    let quality = match policy.quality {
        Quality::EffectivelyOnce => "effectively once",
        _ => "at least once",
    };
    let mut lines = vec![format!(
        "{quality}; {}, then a dead letter; {:?} each",
        policy.retry, policy.time_limit
    )];
    for rule in &policy.rules {
        lines.push(format!("on {}: {}", rule.error, rule.then));
    }
    let mut limits = vec![format!("breaker {}", policy.breaker)];
    if let Some(rate) = policy.rate {
        limits.push(format!("{} in {:?} at most", rate.messages, rate.per));
    }
    if let Some(most) = policy.bulkhead {
        limits.push(format!("{most} at once with those that share the limit"));
    }
    lines.push(limits.join(", "));
    lines
}

//! Many publishes from one task.

use futures_util::{StreamExt, stream};

use crate::support::{connect, payments, processed, server};

const AT_ONCE: usize = 1024;

/// What a task has tokio's permission to do in one turn is less than what so many publishes do, and tokio wakes first what
/// it has put off last: those that began first would wait for as long as others follow.
#[tokio::test]
async fn those_that_began_first_are_not_overtaken_by_those_that_follow() {
    let server = server();
    let running = payments().start(connect(&server).await).await.unwrap();
    let bus = running.bus();
    let publishes = stream::iter(0..8 * AT_ONCE).map(|index| {
        let bus = bus.clone();
        async move { (index, bus.publish(&processed(format!("p-{index}"))).await) }
    });
    let mut publishes = publishes.buffer_unordered(AT_ONCE);
    while let Some((index, stored)) = publishes.next().await {
        let overtaken_by = usize::try_from(stored.unwrap().sequence)
            .unwrap()
            .saturating_sub(index);
        assert!(overtaken_by <= AT_ONCE, "{index} by {overtaken_by} others");
    }
    drop(publishes);
    running.stop().await.unwrap();
}

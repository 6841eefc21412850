//! When nothing is left to do.

use std::{collections::BTreeMap, error::Error, fmt, time::Duration};

use futures_util::TryStreamExt as _;
use tidewire::{
    Connection,
    async_nats::jetstream::{consumer::Info, stream::LastRawMessageErrorKind},
    wire,
};
use tokio::time::{Instant, sleep};

use crate::jobs::{DURABLE, SERVICE, Way};

/// Between two looks at a consumer.
const LOOK: Duration = Duration::from_millis(50);
/// How long something may be tried to be read.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// What is left to do.
struct Left {
    pending: u64,
    unacknowledged: usize,
    parked: usize,
    /// Each consumer has counted all that its stream has.
    all_counted: bool,
}

impl Left {
    async fn read(nats: &Connection, way: Way) -> Result<Self, Box<dyn Error>> {
        let mut left = Self {
            pending: 0,
            unacknowledged: 0,
            parked: parked_now(nats).await?.values().sum(),
            all_counted: true,
        };
        for source in way.sources() {
            // The second one is of letters that are replayed.
            for stream in [source.stream(), &wire::service_stream(SERVICE)] {
                let found = nats.jetstream().get_stream_no_info(stream).await?;
                let info = found.consumer_info(source.consumer()).await?;
                left.pending += info.num_pending;
                left.unacknowledged += info.num_ack_pending;
                left.all_counted &= info.delivered.stream_sequence >= last(nats, stream, &info).await;
            }
        }
        Ok(left)
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pending,
            unacknowledged,
            parked,
            ..
        } = self;
        write!(
            f,
            "{pending} pending, {unacknowledged} unacknowledged, {parked} parked"
        )
    }
}

/// Waits until nothing is pending, nothing unacknowledged and nothing parked, for as long as what is left becomes less
/// within that time.
pub(crate) async fn quiet(nats: &Connection, way: Way, within: Duration) -> Result<(), String> {
    wait(nats, way, within, |left| left.parked).await
}

/// The same, but for what is parked: that waits in the service's own stream.
pub(crate) async fn quiet_but_parked(nats: &Connection, within: Duration) -> Result<(), String> {
    wait(nats, Way::Alone, within, |_| 0).await
}

async fn wait(
    nats: &Connection,
    way: Way,
    within: Duration,
    parked: fn(&Left) -> usize,
) -> Result<(), String> {
    let (mut least, mut deadline) = (u64::MAX, Instant::now() + within);
    loop {
        let state = match Left::read(nats, way).await {
            Ok(left) => {
                let waiting = left.unacknowledged + parked(&left);
                let sum = left.pending + u64::try_from(waiting).unwrap_or(u64::MAX);
                if sum == 0 && left.all_counted {
                    return Ok(());
                }
                if sum < least {
                    (least, deadline) = (sum, Instant::now() + within);
                }
                left.to_string()
            }
            // A cluster may be electing.
            Err(error) => error.to_string(),
        };
        if Instant::now() > deadline {
            return Err(format!(
                "not quiet, and nothing has moved for {within:?}: {state}"
            ));
        }
        sleep(LOOK).await;
    }
}

/// How many jobs of each key are parked, once that can be read.
pub(crate) async fn parked(nats: &Connection) -> Result<BTreeMap<String, usize>, Box<dyn Error>> {
    patiently(async || parked_now(nats).await).await
}

/// Tries to read until it can be read: a server may stand still, and a node that has just joined a cluster again refuses
/// some of it.
pub(crate) async fn patiently<T>(
    read: impl AsyncFn() -> Result<T, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    let deadline = Instant::now() + READ_WITHIN;
    loop {
        match read().await {
            Err(error) if Instant::now() > deadline => {
                return Err(format!("it cannot be read for {READ_WITHIN:?}: {error}").into());
            }
            Err(_) => sleep(LOOK).await,
            read => return read,
        }
    }
}

async fn parked_now(nats: &Connection) -> Result<BTreeMap<String, usize>, Box<dyn Error>> {
    let stream = wire::service_stream(SERVICE);
    let stream = nats.jetstream().get_stream_no_info(stream).await?;
    let prefix = wire::park_subject(SERVICE, DURABLE, "");
    let counts = stream.info_with_subjects(format!("{prefix}*")).await?;
    let counts: Vec<_> = counts.try_collect().await?;
    let key = |(subject, count): (String, usize)| Some((subject.strip_prefix(&prefix)?.to_owned(), count));
    Ok(counts.into_iter().filter_map(key).collect())
}

/// The sequence of the last message that the consumer's filter matches: a message is confirmed to its publisher a moment
/// before the consumer counts it. Out of reach where it cannot be read.
async fn last(nats: &Connection, stream: &str, info: &Info) -> u64 {
    let mut last = 0;
    let config = &info.config;
    let filters = config.filter_subjects.iter().chain([&config.filter_subject]);
    for filter in filters.filter(|filter| !filter.is_empty()) {
        let Ok(stream) = nats.jetstream().get_stream_no_info(stream).await else {
            return u64::MAX;
        };
        last = match stream.get_last_raw_message_by_subject(filter).await {
            Ok(message) => last.max(message.sequence),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => last,
            Err(_) => return u64::MAX,
        };
    }
    last
}

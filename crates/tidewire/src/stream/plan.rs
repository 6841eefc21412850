//! What a context's stream should be, against what it is.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, Placement, RetentionPolicy, StorageType};

use crate::context::{Contents, Context};

/// What has to be done about a stream.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// Make it.
    Create(Box<Config>),
    /// Add to it.
    Update(Box<Config>),
    /// It is as declared.
    Nothing,
}

/// The duplicate window of a new stream.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Compares a context's declaration, with the `subjects` of its declared events, to the stream that was `found`.
/// What is declared is added; a difference that would lose something is refused, each in a line of its own.
pub(super) fn plan(
    stream: &str,
    context: &Context,
    subjects: &[String],
    found: Option<&Config>,
) -> Result<Plan, Vec<String>> {
    let Some(found) = found else {
        return Ok(Plan::Create(Box::new(new_stream(stream, context, subjects))));
    };
    let lost = lossy(context, found);
    if !lost.is_empty() {
        return Err(lost);
    }
    let mut wanted = found.clone();
    for subject in subjects {
        if !wanted.subjects.contains(subject) {
            wanted.subjects.push(subject.clone());
        }
    }
    wanted.discard = DiscardPolicy::New;
    wanted.deny_delete = true;
    wanted.deny_purge = true;
    // A command is sent alone.
    wanted.allow_atomic_publish |= context.contents == Contents::Events;
    wanted.allow_direct = true;
    wanted.num_replicas = context.replicas.unwrap_or(found.num_replicas);
    wanted.max_age = context.max_age.unwrap_or(found.max_age);
    wanted.max_bytes = context.max_bytes.unwrap_or(found.max_bytes);
    wanted.duplicate_window = context.duplicate_window.unwrap_or(found.duplicate_window);
    if !context.placement_tags.is_empty() {
        wanted.placement = placement(context);
    }
    Ok(if wanted == *found {
        Plan::Nothing
    } else {
        Plan::Update(Box::new(wanted))
    })
}

/// What a stream that came back lacks of what was asked for.
pub(super) fn missing(wanted: &Config, found: &Config) -> Vec<String> {
    let mut missing: Vec<_> = wanted
        .subjects
        .iter()
        .filter(|subject| !found.subjects.contains(subject))
        .map(|subject| format!("the subject `{subject}`"))
        .collect();
    let settings = [
        ("discard: new", wanted.discard == found.discard),
        ("deny_delete", wanted.deny_delete == found.deny_delete),
        ("deny_purge", wanted.deny_purge == found.deny_purge),
        (
            "allow_atomic",
            wanted.allow_atomic_publish == found.allow_atomic_publish,
        ),
        ("allow_direct", wanted.allow_direct == found.allow_direct),
        ("replicas", wanted.num_replicas == found.num_replicas),
        ("max_age", wanted.max_age == found.max_age),
        ("max_bytes", wanted.max_bytes == found.max_bytes),
        (
            "duplicate_window",
            wanted.duplicate_window == found.duplicate_window,
        ),
    ];
    missing.extend(
        settings
            .into_iter()
            .filter(|(_, same)| !same)
            .map(|(name, _)| name.to_owned()),
    );
    missing
}

fn new_stream(stream: &str, context: &Context, subjects: &[String]) -> Config {
    Config {
        name: stream.to_owned(),
        description: Some(format!(
            "{} of the context {}",
            context.contents.as_str(),
            context.name
        )),
        subjects: subjects.to_vec(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        deny_delete: true,
        deny_purge: true,
        allow_atomic_publish: context.contents == Contents::Events,
        allow_direct: true,
        num_replicas: context.replicas.unwrap_or(1),
        max_age: context.max_age.unwrap_or_else(|| context.contents.default_age()),
        max_bytes: context.max_bytes.unwrap_or(-1),
        max_messages: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        duplicate_window: context
            .duplicate_window
            .unwrap_or_else(|| duplicate_window(context)),
        placement: placement(context),
        ..Config::default()
    }
}

/// The server refuses a window longer than the age.
fn duplicate_window(context: &Context) -> Duration {
    let age = context.max_age.filter(|age| !age.is_zero());
    age.map_or(DUPLICATE_WINDOW, |age| age.min(DUPLICATE_WINDOW))
}

fn placement(context: &Context) -> Option<Placement> {
    (!context.placement_tags.is_empty()).then(|| Placement {
        tags: context.placement_tags.clone(),
        ..Placement::default()
    })
}

/// Differences that cannot be mended by adding.
fn lossy(context: &Context, found: &Config) -> Vec<String> {
    let mut lost = Vec::new();
    let mut say = |differs: bool, line: String| {
        if differs {
            lost.push(line);
        }
    };
    say(
        found.retention != RetentionPolicy::Limits,
        format!(
            "retention: limits is needed and {:?} found; handled events would be gone",
            found.retention
        ),
    );
    say(
        found.subject_transform.is_some(),
        "subject_transform: none is allowed and one found; expected sequences would check nothing".into(),
    );
    say(
        found.mirror.is_some(),
        "mirror: the stream copies another one and takes no events".into(),
    );
    say(
        found.allow_rollup,
        "allow_rollup_hdrs: off is needed and on found; one publish could empty the stream".into(),
    );
    say(
        found.allow_message_schedules,
        "allow_msg_schedules: off is needed and on found; a schedule writes past permissions".into(),
    );
    say(
        found.discard == DiscardPolicy::Old && (found.max_messages > 0 || found.max_bytes > 0),
        "discard: new is needed and old found with a limit; a full stream would refuse where it used to drop"
            .into(),
    );
    say(
        found.max_messages_per_subject > 0,
        format!(
            "max_msgs_per_subject: none is needed and {} found; older events are dropped",
            found.max_messages_per_subject
        ),
    );
    say(
        found.no_ack,
        "no_ack: off is needed and on found; nothing would be confirmed".into(),
    );
    say(
        found.storage == StorageType::Memory,
        "storage: file is needed and memory found; a restart would lose all".into(),
    );
    if let Some(declared) = context.replicas {
        let found = found.num_replicas;
        say(
            declared < found,
            format!("replicas: {declared} declared, {found} found; copies would be given up"),
        );
    }
    if let Some(declared) = context.max_age {
        let found = found.max_age;
        let shorter = !declared.is_zero() && (found.is_zero() || declared < found);
        say(
            shorter,
            format!(
                "max_age: {declared:?} declared, {} found; older events would be gone",
                age(found)
            ),
        );
    }
    if let Some(declared) = context.max_bytes {
        let found = found.max_bytes;
        let smaller = found <= 0 || declared < found;
        say(
            smaller,
            format!(
                "max_bytes: {declared} declared, {} found; less would be kept",
                bytes(found)
            ),
        );
    }
    if let Some(declared) = context.duplicate_window {
        let found = found.duplicate_window;
        say(
            declared < found,
            format!("duplicate_window: {declared:?} declared, {found:?} found"),
        );
    }
    lost
}

fn age(age: Duration) -> String {
    if age.is_zero() {
        "for ever".into()
    } else {
        format!("{age:?}")
    }
}

fn bytes(bytes: i64) -> String {
    if bytes <= 0 {
        "unlimited".into()
    } else {
        bytes.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECTS: [&str; 1] = ["orders.payments.payment.processed.*"];

    fn planned(context: &Context, subjects: &[&str], found: Option<&Config>) -> Result<Plan, Vec<String>> {
        let subjects: Vec<_> = subjects.iter().map(ToString::to_string).collect();
        plan("ORDERS__PAYMENTS", context, &subjects, found)
    }

    fn made(context: &Context) -> Config {
        match planned(context, &SUBJECTS, None) {
            Ok(Plan::Create(config)) => *config,
            other => panic!("expected a new stream, got {other:?}"),
        }
    }

    #[test]
    fn what_was_made_needs_nothing() {
        let context = Context::new("orders.payments").max_age(Duration::from_secs(60));
        let found = made(&context);
        assert_eq!(planned(&context, &SUBJECTS, Some(&found)), Ok(Plan::Nothing));
        let silent = Context::new("orders.payments");
        assert_eq!(planned(&silent, &SUBJECTS, Some(&found)), Ok(Plan::Nothing));
    }

    #[test]
    fn subjects_are_added_and_none_is_taken_away() {
        let context = Context::new("orders.payments");
        let found = made(&context);
        let Ok(Plan::Update(wanted)) = planned(&context, &["orders.payments.payment.failed.*"], Some(&found))
        else {
            panic!("expected an update")
        };
        assert_eq!(wanted.subjects, [SUBJECTS[0], "orders.payments.payment.failed.*"]);
        assert_eq!(
            missing(&wanted, &found),
            ["the subject `orders.payments.payment.failed.*`"]
        );
    }

    #[test]
    fn growing_is_an_update_and_shrinking_is_refused() {
        let found = made(&Context::new("orders.payments").replicas(3).max_bytes(1000));
        let more = Context::new("orders.payments").max_bytes(2000);
        assert!(matches!(
            planned(&more, &SUBJECTS, Some(&found)),
            Ok(Plan::Update(_))
        ));
        let less = Context::new("orders.payments")
            .replicas(1)
            .max_bytes(10)
            .max_age(Duration::from_secs(1));
        let lines = planned(&less, &SUBJECTS, Some(&found)).unwrap_err();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("replicas: 1 declared, 3 found"), "{lines:?}");
    }

    #[test]
    fn a_queue_has_an_age_of_its_own_and_keeps_it() {
        let made = |context: &Context| made(&context.queue());
        let day = Duration::from_secs(86_400);
        let context = Context::new("orders.payments").max_age(day).max_bytes(1000);
        let found = made(&context);
        assert_eq!((found.max_age, found.max_bytes), (14 * day, 1000));
        assert_eq!(found.retention, RetentionPolicy::Limits);
        assert!(!found.allow_atomic_publish && found.deny_purge);
        assert_eq!(
            planned(&context.queue(), &SUBJECTS, Some(&found)),
            Ok(Plan::Nothing)
        );
        let longer = Context::new("orders.payments").queue_max_age(30 * day);
        assert!(matches!(
            planned(&longer.queue(), &SUBJECTS, Some(&found)),
            Ok(Plan::Update(wanted)) if wanted.max_age == 30 * day
        ));
        let shorter = Context::new("orders.payments").queue_max_age(day);
        let lines = planned(&shorter.queue(), &SUBJECTS, Some(&found)).unwrap_err();
        assert!(lines[0].starts_with("max_age: 86400s declared"), "{lines:?}");
        // A window must not be longer than the age.
        let minute = Duration::from_secs(60);
        let short = Context::new("orders.payments").queue_max_age(minute);
        assert_eq!(made(&short).duplicate_window, minute);
    }

    #[test]
    fn a_stream_that_loses_events_by_design_is_refused() {
        let context = Context::new("orders.payments");
        let found = Config {
            retention: RetentionPolicy::WorkQueue,
            allow_rollup: true,
            ..made(&context)
        };
        assert_eq!(planned(&context, &SUBJECTS, Some(&found)).unwrap_err().len(), 2);
    }
}

//! What follows from a failure: rules for errors first, then what the handler said, then the retry policy.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Class, Failure, Outcome, Retry};

/// What a rule says should follow from an error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Then {
    /// Try again by this policy.
    Retry(Retry),
    /// Try again after this long, as often as the handler's policy has attempts.
    RetryAfter(#[serde(with = "crate::seconds")] Duration),
    /// Into the dead letters at once.
    DeadLetter,
    /// Nothing more is pulled for this long, and the message then begins again; no attempt is spent.
    Pause(#[serde(with = "crate::seconds")] Duration),
    /// Give it up; a record of it, whole, is kept in the dead-letter stream.
    Discard,
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(retry) => write!(f, "{retry}"),
            Self::RetryAfter(delay) => write!(f, "again after {delay:?}"),
            Self::DeadLetter => f.write_str("a dead letter at once"),
            Self::Pause(pause) => write!(f, "nothing is tried for {pause:?}"),
            Self::Discard => f.write_str("discarded, with a record"),
        }
    }
}

/// A rule: errors of one type, or some of them, and what follows.
#[derive(Clone)]
pub struct Rule {
    error: &'static str,
    matches: Matches,
    then: Then,
}

type Matches = Arc<dyn Fn(&(dyn StdError + 'static)) -> bool + Send + Sync>;

/// What a durable does with what went wrong.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The first one that matches wins.
    pub rules: Vec<Rule>,
    /// Where none does, and the handler said no more than "try again".
    pub retry: Retry,
}

/// What is to become of a message after an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It was handled, or a business answer was given.
    Done,
    /// Try again by `policy`, and not before `after` where that is given.
    Retry {
        /// How often, and after which delays.
        policy: Retry,
        /// The handler's or a rule's own delay.
        after: Option<Duration>,
    },
    /// What the handler needs is down: hold the message and spend nothing. The breaker decides how long where the rule
    /// does not.
    Hold {
        /// The rule's pause.
        pause: Option<Duration>,
    },
    /// Into the dead letters.
    DeadLetter,
    /// Given up, with a record.
    Discard,
}

impl Rule {
    /// For errors of type `E` of which `holds` is true, wherever they are in the chain of sources.
    pub fn new<E: StdError + 'static>(
        holds: impl Fn(&E) -> bool + Send + Sync + 'static,
        then: Then,
    ) -> Self {
        Self {
            error: std::any::type_name::<E>(),
            matches: Arc::new(move |error| error.downcast_ref::<E>().is_some_and(&holds)),
            then,
        }
    }

    /// The name of the error's type.
    pub fn error(&self) -> &'static str {
        self.error
    }

    /// What follows.
    pub fn then(&self) -> Then {
        self.then
    }

    fn matches(&self, failure: &Failure) -> bool {
        let mut error: Option<&(dyn StdError + 'static)> = Some(failure.cause());
        while let Some(cause) = error {
            if (self.matches)(cause) {
                return true;
            }
            error = cause.source();
        }
        false
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("error", &self.error)
            .field("then", &self.then)
            .finish_non_exhaustive()
    }
}

impl Policy {
    /// What is to become of a message with this outcome.
    pub fn verdict(&self, outcome: &Outcome) -> Verdict {
        let retry = |after| Verdict::Retry {
            policy: self.retry,
            after,
        };
        let failure = match outcome {
            Outcome::Done => return Verdict::Done,
            // No later attempt understands it; a later version of the service may, and replays it.
            Outcome::NotUnderstood(_) => return Verdict::DeadLetter,
            Outcome::Panicked(_) | Outcome::TimedOut(_) => return retry(None),
            Outcome::Failed(failure) => failure,
        };
        if matches!(failure.class(), Class::Decline(_)) {
            return Verdict::Done;
        }
        if let Some(rule) = self.rules.iter().find(|rule| rule.matches(failure)) {
            return match rule.then {
                Then::Retry(policy) => Verdict::Retry { policy, after: None },
                Then::RetryAfter(delay) => retry(Some(delay)),
                Then::DeadLetter => Verdict::DeadLetter,
                Then::Pause(pause) => Verdict::Hold { pause: Some(pause) },
                Then::Discard => Verdict::Discard,
            };
        }
        match failure.class() {
            Class::Decline(_) => Verdict::Done,
            Class::Reject => Verdict::DeadLetter,
            Class::Unavailable => Verdict::Hold { pause: None },
            Class::Retry(after) => retry(*after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OrFail;

    #[derive(Debug, thiserror::Error)]
    #[error("gateway said {0}")]
    struct Gateway(u16);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot charge")]
    struct Charge(#[source] Gateway);

    fn outcome(result: Result<(), Failure>) -> Outcome {
        result.map_or_else(Outcome::Failed, |()| Outcome::Done)
    }

    fn policy() -> Policy {
        Policy {
            rules: vec![
                Rule::new(
                    |Gateway(code)| *code == 429,
                    Then::RetryAfter(Duration::from_secs(30)),
                ),
                Rule::new(|Gateway(code)| *code >= 500, Then::Pause(Duration::from_secs(5))),
                Rule::new(|_: &Gateway| true, Then::Discard),
            ],
            retry: Retry::default(),
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins_wherever_the_error_is_in_the_chain() {
        let verdict = |code| policy().verdict(&outcome(Err(Charge(Gateway(code)).into())));
        assert!(matches!(verdict(429), Verdict::Retry { after: Some(delay), .. } if delay.as_secs() == 30));
        assert_eq!(
            verdict(503),
            Verdict::Hold {
                pause: Some(Duration::from_secs(5))
            }
        );
        assert_eq!(verdict(404), Verdict::Discard);
    }

    #[test]
    fn a_rule_comes_before_what_the_handler_said_and_a_business_answer_before_every_rule() {
        let rejected = Err(Gateway(404)).or_reject();
        assert_eq!(policy().verdict(&outcome(rejected)), Verdict::Discard);
        let declined = Err(Gateway(404)).or_decline("sold_out");
        assert_eq!(policy().verdict(&outcome(declined)), Verdict::Done);
    }

    #[test]
    fn without_a_rule_the_handler_decides() {
        let verdict = |result| Policy::default().verdict(&outcome(result));
        let error = || Err::<(), _>(Gateway(1));
        assert_eq!(verdict(error().or_reject()), Verdict::DeadLetter);
        assert_eq!(verdict(error().or_unavailable()), Verdict::Hold { pause: None });
        let again = Verdict::Retry {
            policy: Retry::default(),
            after: None,
        };
        assert_eq!(verdict(error().or_retry()), again);
        assert_eq!(
            Policy::default().verdict(&Outcome::Panicked(String::new())),
            again
        );
        assert_eq!(
            Policy::default().verdict(&Outcome::TimedOut(Duration::ZERO)),
            again
        );
    }
}

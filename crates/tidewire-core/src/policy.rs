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
    use crate::{
        OrFail,
        settlement::{After, Effect, Input, Keep, State},
    };

    #[derive(Debug, thiserror::Error)]
    #[error("gateway said {0}")]
    struct Gateway(u16);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot charge")]
    struct Charge(#[source] Gateway);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot take the order")]
    struct Order(#[source] Charge);

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

    /// The verdict where `then` is the one rule, for errors of the gateway, and `failure` is what the handler says.
    fn ruled(then: Then, failure: Failure) -> Verdict {
        let policy = Policy {
            rules: vec![Rule::new(|_: &Gateway| true, then)],
            retry: Retry::default(),
        };
        policy.verdict(&outcome(Err(failure)))
    }

    #[test]
    fn a_rule_tries_again_by_a_policy_or_after_a_delay_of_its_own() {
        let own = Retry::fixed(Duration::from_secs(7)).max_attempts(2);
        let delay = Duration::from_secs(30);
        // The error itself, and as the source of another one, near and far.
        let failures: [fn() -> Failure; 3] = [
            || Gateway(503).into(),
            || Charge(Gateway(503)).into(),
            || Order(Charge(Gateway(503))).into(),
        ];
        for failure in failures {
            let by_its_policy = Verdict::Retry {
                policy: own,
                after: None,
            };
            assert_eq!(ruled(Then::Retry(own), failure()), by_its_policy);
            // How often is not the rule's to say here.
            let by_its_delay = Verdict::Retry {
                policy: Retry::default(),
                after: Some(delay),
            };
            assert_eq!(ruled(Then::RetryAfter(delay), failure()), by_its_delay);
        }
        let another = || Failure::new(Class::Retry(None), "no gateway in it");
        let by_the_durables = Verdict::Retry {
            policy: Retry::default(),
            after: None,
        };
        assert_eq!(ruled(Then::Retry(own), another()), by_the_durables);
        assert_eq!(ruled(Then::RetryAfter(delay), another()), by_the_durables);
    }

    #[test]
    fn the_time_of_a_rules_policy_ends_the_attempts() {
        let delay = Duration::from_secs(10);
        let own = Retry::fixed(delay).jitter(0.0).max_time(Duration::from_secs(60));
        let verdict = ruled(Then::Retry(own), Charge(Gateway(503)).into());
        // A second run fails, so long after the first.
        let after = |since| {
            let running = State::Running {
                runs: 1,
                marked: true,
            };
            running.step(Input::Ended {
                verdict,
                since: Duration::from_secs(since),
                random: 0.0,
            })
        };
        let again = (
            State::Counting(After::Nak(delay)),
            Effect::Count { count: Some(2) },
        );
        assert_eq!(after(59), again);
        let over = (
            State::Counting(After::Keep(Keep::Letter)),
            Effect::Count { count: None },
        );
        assert_eq!(after(60), over);
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

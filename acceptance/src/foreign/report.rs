//! One line for each check, and the sum.

use std::error::Error;

use serde_json::Value;

use crate::compare::differences;

/// How a scenario ended: well, or before all of it was checked.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// What was checked so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    passed: usize,
    failed: usize,
}

#[expect(clippy::print_stdout, reason = "the report is what it prints")]
impl Report {
    /// Checks that `found` has all that is `expected`, and says where it has not.
    pub(crate) fn same(&mut self, what: &str, expected: &Value, found: &Value) {
        self.check(what, &differences(expected, found));
    }

    /// A scenario that broke off is a failed check: the rest of it was never seen.
    pub(crate) fn scenario(&mut self, what: &str, outcome: Outcome) {
        if let Err(error) = outcome {
            self.check(&format!("{what}, to the end"), &[error.to_string()]);
        }
    }

    fn check(&mut self, what: &str, wrong: &[String]) {
        if wrong.is_empty() {
            self.passed += 1;
            println!("ok     {what}");
        } else {
            self.failed += 1;
            println!("FAILED {what}");
            for line in wrong.iter().flat_map(|text| text.lines()) {
                println!("         {line}");
            }
        }
    }

    pub(crate) fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    pub(crate) fn print_sum(&self) {
        println!("{} passed, {} failed", self.passed, self.failed);
    }
}

//! `tidewire demo`: the shop as separate processes on a server of its own, under load, audited at the end.

mod args;
mod breakers;
mod children;
mod error;
mod failures;
mod folder;
mod instances;
mod life;
mod outage;
mod playbill;
mod repair;
mod screen;
mod signals;
mod stage;
mod summary;

use std::process::ExitCode;

pub(crate) use args::{DemoArgs, ShopServiceArgs};
#[cfg(test)]
pub(crate) use error::DemoError;

/// Runs the demo: 0 where the books balance, 1 where they do not, 2 where there is no server.
pub(crate) fn demo(args: &DemoArgs) -> ExitCode {
    in_runtime(stage::demo(args))
}

/// Runs one service of the shop until it is told to stop, or its parent is gone.
pub(crate) fn shop_service(args: &ShopServiceArgs) -> ExitCode {
    in_runtime(life::shop_service(args))
}

fn in_runtime(work: impl Future<Output = Result<ExitCode, error::DemoError>>) -> ExitCode {
    let done = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(work),
        Err(source) => Err(error::DemoError::system("start the runtime", source)),
    };
    done.unwrap_or_else(|error| {
        screen::complain(&error);
        error.exit_code()
    })
}

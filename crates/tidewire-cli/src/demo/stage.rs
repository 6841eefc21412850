//! The course of the demo.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use tidewire_server::Server;
use tidewire_shop::{
    books::Books,
    load::{Figures, Storefront},
};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::{
    args::DemoArgs, children::Children, error::DemoError, folder::Folder, instances::Instances, playbill,
    screen::Screen, signals::Signals, summary,
};

/// How long the services may take to start; less than a second, on a machine that has nothing else to do.
const STARTED_WITHIN: Duration = Duration::from_secs(30);
/// How long orders may take to end once no more are placed: some retries, and the lost answers of a killed service.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// How long what follows from the last end may take.
const BALANCED_WITHIN: Duration = Duration::from_secs(15);
const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn demo(args: &DemoArgs) -> Result<ExitCode, DemoError> {
    let mut folder = Folder::new(args.keep)?;
    let screen = Screen::new();
    let played = play(args, &folder, &screen).await;
    let balanced = matches!(played, Ok(true));
    if args.keep || (!balanced && !folder.is_empty()) {
        folder.keep();
        screen.kept(&folder, args.keep);
    }
    played.map(|_| {
        if balanced {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    })
}

/// Plays the whole of it; gives whether the books balance.
async fn play(args: &DemoArgs, folder: &Folder, screen: &Screen) -> Result<bool, DemoError> {
    screen.say(screen.bold("tidewire demo: a shop of four services on a nats-server of its own"));
    let server = start_server(args.keep.then(|| folder.store())).await?;
    let signals = Signals::listen()?;
    let url = server.url();
    let nats = tidewire::connect(&url).await?;
    let mut stage = Stage {
        children: Children::start(&url, folder)?,
        instances: Instances::new(nats.client()).await?,
        screen,
        signals: signals.clone(),
        began: Instant::now(),
        second: interval(SECOND),
        told: Figures::default(),
    };
    stage.wait_for_all(folder).await?;
    playbill::show(
        screen,
        args,
        &url,
        server.binary().version(),
        &stage.children,
        folder,
    );

    let storefront = Storefront::open(nats.clone()).await?;
    stage.began = Instant::now();
    stage.second.reset();
    let end = async {
        tokio::select! {
            () = signals.end.cancelled() => {}
            () = limit(args) => {}
        }
    };
    stage
        .during(&storefront, storefront.place_orders(args.rate, args.orders, end))
        .await?;
    screen.say("No more orders are placed; those that are open come to their ends.");
    let open = stage
        .during(&storefront, storefront.settle(SETTLED_WITHIN))
        .await?;
    let ledger = storefront.ledger().clone();
    if open == 0 {
        let balanced = Books::once_balanced(&nats, &ledger, BALANCED_WITHIN);
        stage.during(&storefront, balanced).await??;
    }
    let placing = stage.began.elapsed();
    stage.instances.ask_figures().await?;
    let Stage {
        children, instances, ..
    } = stage;
    children.stop().await?;
    storefront.close().await?;
    let books = Books::audit(&nats, &ledger).await?;
    summary::show(screen, &ledger.figures(), placing, &instances, &books);
    Ok(books.balance())
}

/// In the background: the first one may download the server, with a progress bar.
async fn start_server(store: Option<PathBuf>) -> Result<Server, DemoError> {
    let started = tokio::task::spawn_blocking(|| match store {
        Some(store) => Server::builder().store_dir(store).start(),
        None => Server::start(),
    });
    let started = started
        .await
        .map_err(|error| DemoError::system("start the server", error.into()))?;
    Ok(started?)
}

async fn limit(args: &DemoArgs) {
    match args.limit() {
        Some(seconds) => sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

/// Who plays, and who watches.
struct Stage<'a> {
    children: Children,
    instances: Instances,
    screen: &'a Screen,
    signals: Signals,
    began: Instant,
    /// The pace of the lines.
    second: Interval,
    /// What the last line told.
    told: Figures,
}

impl Stage<'_> {
    async fn wait_for_all(&mut self, folder: &Folder) -> Result<(), DemoError> {
        let missing = tokio::select! {
            missing = self.instances.wait_for_all(STARTED_WITHIN) => missing?,
            death = self.children.death() => return Err(death.into_error()),
            () = self.signals.quit.cancelled() => return Err(DemoError::Interrupted),
        };
        if missing.is_empty() {
            return Ok(());
        }
        Err(DemoError::NotUp {
            missing,
            within: STARTED_WITHIN,
            logs: folder.path().to_owned(),
        })
    }

    /// Does `work`, prints a line a second, and watches over the services.
    async fn during<T>(
        &mut self,
        storefront: &Storefront,
        work: impl Future<Output = T>,
    ) -> Result<T, DemoError> {
        let Self {
            children,
            instances,
            screen,
            signals,
            began,
            second,
            told,
        } = self;
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        tokio::select! {
            done = work => Ok(done),
            failed = tell(storefront, instances, screen, (*began, second), told) => failed,
            error = watch_over(children, screen) => Err(error),
            () = signals.quit.cancelled() => Err(DemoError::Interrupted),
        }
    }
}

/// Prints a line a second; ends only with an error.
async fn tell<T>(
    storefront: &Storefront,
    instances: &mut Instances,
    screen: &Screen,
    (began, second): (Instant, &mut Interval),
    told: &mut Figures,
) -> Result<T, DemoError> {
    loop {
        second.tick().await;
        instances.ask_figures().await?;
        let figures = storefront.ledger().figures();
        screen.line(began.elapsed(), &figures, told, instances.errors());
        *told = figures;
    }
}

/// Returns when the shop cannot go on: the only instance of a service has ended, or one that nobody killed.
async fn watch_over(children: &mut Children, screen: &Screen) -> DemoError {
    loop {
        let death = children.death().await;
        let others = children.of(death.child.service).count();
        if others == 0 || !death.was_killed() {
            return death.into_error();
        }
        screen.killed(&death, children.of(death.child.service));
    }
}

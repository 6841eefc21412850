//! The course of the demo.

use std::{
    path::PathBuf,
    pin::pin,
    process::ExitCode,
    time::{Duration, Instant},
};

use tidewire_server::Server;
use tidewire_shop::{
    books::Books,
    load::{Figures, Storefront},
    payments::{Faults, Gateway},
};
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval, sleep},
};

use super::{
    args::{DemoArgs, ShopService},
    breakers::{Breakers, News},
    children::Children,
    error::DemoError,
    failures::Failures,
    folder::Folder,
    instances::Instances,
    outage::{Outage, Play},
    playbill,
    repair::repair,
    screen::{Line, Screen},
    signals::Signals,
    summary,
};

/// How long the services may take to start; less than a second, on a machine that has nothing else to do.
const STARTED_WITHIN: Duration = Duration::from_secs(30);
/// How long orders may take to end once no more are placed: some retries, and the lost answers of a killed service.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// How long what follows from the last end may take.
const BALANCED_WITHIN: Duration = Duration::from_secs(15);
/// How long between two looks at the orders that have not ended.
const PAUSE: Duration = Duration::from_millis(200);
const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn demo(args: &DemoArgs) -> Result<ExitCode, DemoError> {
    let mut folder = Folder::new(args.keep)?;
    let screen = Screen::new();
    // Boxed, as below: the futures of the client are large.
    let played = Box::pin(play(args, &folder, &screen)).await;
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
    let nats = tidewire::Connect::to(&url)
        .service("storefront")
        .connect()
        .await?;
    let gateway = Gateway::open(&nats).await?;
    gateway.set(Faults::bugs()).await?;
    let (tell, news) = mpsc::unbounded_channel();
    let failures = Failures::listen(&nats.client()).await?;
    let children = Children::start(&url, folder, &tell)?;
    let payments = children.of(ShopService::Payments);
    let breakers = Breakers::of(payments.map(|child| child.name.clone()));
    let mut stage = Stage {
        failures,
        children,
        news,
        breakers: breakers.clone(),
        screen,
        signals: signals.clone(),
        began: Instant::now(),
        second: interval(SECOND),
        told: Figures::default(),
    };
    stage
        .wait_for_all(&mut Instances::new(nats.client()).await?, folder)
        .await?;
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
    let play = Play::new(&gateway, screen, breakers);
    let placing = async {
        let mut placing = pin!(storefront.place_orders(args.rate, args.orders, end));
        let mut outage = Box::pin(play.play(Outage::within(args.length())));
        tokio::select! {
            () = &mut placing => {
                // An outage that has begun goes on until it was seen, unless somebody wants an end.
                if play.is_down() {
                    tokio::select! {
                        played = &mut outage => played?,
                        () = signals.end.cancelled() => {}
                    }
                }
            }
            played = &mut outage => {
                played?;
                placing.await;
            }
        }
        play.end().await
    };
    stage.during(&storefront, placing).await??;
    screen.say("No more orders are placed; those that are open come to their ends.");
    let failures = stage.failures.clone();
    stage
        .during(&storefront, all_but_letters(&storefront, &failures))
        .await?;
    let repair = Box::pin(repair(&nats, &gateway, screen));
    stage.during(&storefront, repair).await??;
    let open = stage
        .during(&storefront, storefront.settle(SETTLED_WITHIN))
        .await?;
    let ledger = storefront.ledger().clone();
    if open == 0 {
        let balanced = Books::once_balanced(&nats, &ledger, BALANCED_WITHIN);
        stage.during(&storefront, balanced).await??;
    }
    let took = stage.began.elapsed();
    let Stage {
        children,
        breakers,
        failures,
        ..
    } = stage;
    children.stop().await?;
    storefront.close().await?;
    let books = Books::audit(&nats, &ledger).await?;
    let told = (&breakers, &failures);
    summary::show(screen, &ledger.figures(), took, told, &books);
    Ok(books.balance() && failures.open_letters() == 0)
}

/// Returns once every order has ended, or waits as a dead letter; or after a long time.
async fn all_but_letters(storefront: &Storefront, failures: &Failures) {
    let deadline = Instant::now() + SETTLED_WITHIN;
    while storefront.count_open().await > failures.open_letters() && Instant::now() < deadline {
        sleep(PAUSE).await;
    }
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
    /// What the payments processes say of their breakers.
    news: mpsc::UnboundedReceiver<News>,
    breakers: Breakers,
    failures: Failures,
    screen: &'a Screen,
    signals: Signals,
    began: Instant,
    /// The pace of the lines.
    second: Interval,
    /// What the last line told.
    told: Figures,
}

impl Stage<'_> {
    async fn wait_for_all(&mut self, instances: &mut Instances, folder: &Folder) -> Result<(), DemoError> {
        let missing = tokio::select! {
            missing = instances.wait_for_all(STARTED_WITHIN) => missing?,
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
            news,
            breakers,
            failures,
            screen,
            signals,
            began,
            second,
            told,
        } = self;
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let lines = async {
            loop {
                second.tick().await;
                let line = Line {
                    elapsed: began.elapsed(),
                    figures: storefront.ledger().figures(),
                    retries: failures.retries().values().sum(),
                    letters: failures.open_letters(),
                    open_breakers: breakers.open(),
                };
                screen.line(&line, told);
                *told = line.figures;
            }
        };
        tokio::select! {
            done = work => Ok(done),
            never = lines => never,
            never = hear(news, breakers, screen) => never,
            error = watch_over(children, screen) => Err(error),
            () = signals.quit.cancelled() => Err(DemoError::Interrupted),
        }
    }
}

/// Tells of each breaker that opens or closes; never ends.
async fn hear<T>(news: &mut mpsc::UnboundedReceiver<News>, breakers: &Breakers, screen: &Screen) -> T {
    while let Some(news) = news.recv().await {
        if let Some(open_for) = breakers.note(&news) {
            screen.breaker(&news, open_for);
        }
    }
    std::future::pending().await
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

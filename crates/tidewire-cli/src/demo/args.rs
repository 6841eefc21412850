//! The flags of the demo.

use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};

/// Runs orders, inventory, payments (twice) and notifications as processes of their own on a nats-server of their
/// own, places orders, prints a line a second, and compares everybody's books at the end. The payment gateway fails in
/// every way in which gateways fail; what no retry helps is replayed when the load is over.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// How long orders are placed [default: 60, or without end where --orders is given]
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub(crate) seconds: Option<u64>,
    /// Stop after this many orders
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub(crate) orders: Option<u64>,
    /// Orders placed a second
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = value_parser!(u32).range(1..=5000))]
    pub(crate) rate: u32,
    /// Keep the folder with the server's data and the services' logs, and say where it is
    #[arg(long)]
    pub(crate) keep: bool,
}

/// One service of the shop, on the server at `$NATS_URL`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ShopServiceArgs {
    /// Which one
    pub(crate) service: ShopService,
}

/// The services of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum ShopService {
    Orders,
    Inventory,
    Payments,
    Notifications,
}

impl ShopService {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Inventory => "inventory",
            Self::Payments => "payments",
            Self::Notifications => "notifications",
        }
    }
}

impl DemoArgs {
    /// How long orders are placed; `None` without end.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.seconds
            .or(if self.orders.is_some() { None } else { Some(60) })
    }

    /// How long it will take to place all orders, in whole seconds where their number decides.
    pub(crate) fn length(&self) -> Duration {
        let rate = u64::from(self.rate.max(1));
        let seconds = self.orders.map_or(u64::MAX, |orders| orders.div_ceil(rate));
        Duration::from_secs(seconds.min(self.limit().unwrap_or(u64::MAX)))
    }
}

//! Async functions as handlers.

use std::future::Future;

use crate::{
    extract::{Delivery, FromDelivery, FromMessage, Sends},
    layer::{Layers, Unhandled},
};

/// An `async fn` whose arguments are extractors and whose last argument is the message.
///
/// `T` is the tuple of its arguments. What they must be is said by [`Arguments`], and what it gives back by
/// [`HandlerFuture`], [`Settles`](crate::Settles) and [`Answers`](crate::Answers): a trait for each cause, so that the
/// compiler can name it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not an `async fn` of one to eight arguments",
    note = "a handler is an `async fn`: first at most seven extractors such as `State<T>` or `Emit<E>`, then the message: `Event<E>`, `Command<C>` or `Query<Q>`"
)]
pub trait Handler<T>: Clone + Send + Sync + 'static {
    /// What calling it gives: of an `async fn`, a future.
    type Future;

    /// Calls it.
    fn invoke(self, arguments: T) -> Self::Future;

    /// The layers around it: none, but for [`Layered`](crate::layer::Layered).
    #[doc(hidden)]
    fn layers(&self) -> Layers {
        Layers::default()
    }
}

/// What calling an `async fn` gives: every future.
///
/// It stands for [`Future`] so that the compiler can say what is missing.
#[diagnostic::on_unimplemented(
    message = "this handler is not `async`: calling it gives `{Self}`, which is not a future",
    label = "given a function that is not `async`",
    note = "write `async fn`"
)]
pub trait HandlerFuture: Sized {
    /// What the handler gives back.
    type Output;

    /// Runs the handler.
    fn run(self) -> impl Future<Output = Self::Output> + Send
    where
        Self: Send;
}

#[diagnostic::do_not_recommend]
impl<F: Future> HandlerFuture for F {
    type Output = <F as Future>::Output;

    fn run(self) -> impl Future<Output = <F as Future>::Output> + Send
    where
        Self: Send,
    {
        self
    }
}

/// The arguments of a handler in a service whose state is `S`: extractors, and the message last.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are not the arguments of a handler",
    label = "not the arguments of a handler",
    note = "first extractors such as `State<T>` or `Emit<E>`, then the message as the LAST argument: `Event<E>`, `Command<C>` or `Query<Q>`"
)]
pub trait Arguments<S>: Sized + Send + 'static {
    /// The last argument.
    type Message;

    /// Takes the arguments out of a delivery.
    ///
    /// # Errors
    /// [`Unhandled`] says whether the message was not understood or an extractor failed.
    fn extract(delivery: &Delivery, state: &S) -> Result<Self, Unhandled>
    where
        Self::Message: FromMessage;

    /// What the handler sends, by its arguments.
    fn sends() -> Sends;
}

macro_rules! handler {
    ($($argument:ident $value:ident),*) => {
        impl<F, Fut, M, $($argument,)*> Handler<($($argument,)* M,)> for F
        where
            F: FnOnce($($argument,)* M) -> Fut + Clone + Send + Sync + 'static,
        {
            type Future = Fut;

            fn invoke(self, ($($value,)* message,): ($($argument,)* M,)) -> Fut {
                self($($value,)* message)
            }
        }

        impl<S, M, $($argument,)*> Arguments<S> for ($($argument,)* M,)
        where
            M: Send + 'static,
            $($argument: FromDelivery<S> + Send + 'static,)*
        {
            type Message = M;

            fn extract(delivery: &Delivery, _state: &S) -> Result<Self, Unhandled>
            where
                M: FromMessage,
            {
                Ok(($($argument::from_delivery(delivery, _state)?,)* M::from_message(delivery)?,))
            }

            fn sends() -> Sends {
                Sends::all([$($argument::sends()),*])
            }
        }
    };
}

handler!();
handler!(A a);
handler!(A a, B b);
handler!(A a, B b, C c);
handler!(A a, B b, C c, D d);
handler!(A a, B b, C c, D d, E e);
handler!(A a, B b, C c, D d, E e, G g);
handler!(A a, B b, C c, D d, E e, G g, H h);

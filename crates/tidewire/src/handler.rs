//! Async functions as handlers.

use std::future::Future;

use crate::extract::{Delivery, Extracted, FromDelivery, FromMessage, Sends};

/// An `async fn` whose arguments are extractors and whose last argument is the message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not an `async fn` of at most eight arguments whose last is the message",
    note = "a handler is an `async fn`: first extractors such as `State<T>` or `Emit<E>`, then `Event<E>`, `Command<C>` or `Query<Q>`"
)]
pub trait Handler<T>: Clone + Send + Sync + 'static {
    /// What calling it gives.
    type Future: Future;

    /// Calls it.
    fn invoke(self, arguments: T) -> Self::Future;
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
    /// [`Extracted`] says whether the message was not understood or an extractor failed.
    fn extract(delivery: &Delivery, state: &S) -> Result<Self, Extracted>;

    /// What the handler sends, by its arguments.
    fn sends() -> Sends;
}

macro_rules! handler {
    ($($argument:ident $value:ident),*) => {
        impl<F, Fut, M, $($argument,)*> Handler<($($argument,)* M,)> for F
        where
            F: FnOnce($($argument,)* M) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future,
        {
            type Future = Fut;

            fn invoke(self, ($($value,)* message,): ($($argument,)* M,)) -> Fut {
                self($($value,)* message)
            }
        }

        impl<S, M, $($argument,)*> Arguments<S> for ($($argument,)* M,)
        where
            M: FromMessage + Send + 'static,
            $($argument: FromDelivery<S> + Send + 'static,)*
        {
            type Message = M;

            fn extract(delivery: &Delivery, _state: &S) -> Result<Self, Extracted> {
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

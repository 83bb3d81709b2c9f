use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http_body::{Body, Frame, SizeHint};
use tracing::Span;

/// A stream, or the body of an answer, that is made within a span: the span ends with it. For futures there is
/// `tracing::Instrument`.
pub struct Within<T> {
    made: Pin<Box<T>>,
    span: Span,
}

impl<T> Within<T> {
    /// The same, made within this span.
    pub fn new(made: T, span: Span) -> Self {
        Self { made: Box::pin(made), span }
    }
}

impl<T: Stream> Stream for Within<T> {
    type Item = T::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T::Item>> {
        let this = &mut *self;
        let _within = this.span.enter();
        this.made.as_mut().poll_next(context)
    }
}

impl<T: Body<Data = Bytes>> Body for Within<T> {
    type Data = Bytes;
    type Error = T::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, T::Error>>> {
        let this = &mut *self;
        let _within = this.span.enter();
        this.made.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.made.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.made.size_hint()
    }
}

//! What is counted and measured.
//!
//! `list` names all of it, once: with its unit, its help text and the values of its label. Whoever records takes a metric from
//! there. Nothing is recorded before [`install`] has given the process a recorder: that of `local` answers Prometheus, that of
//! a function writes lines that CloudWatch makes metrics of ([`publish`]). Handles are made then, once, so that recording is an
//! atomic operation and a comparison of short strings.
//!
//! No tenant, user or address is ever a label: each value of a label is a series that somebody pays for.

mod emf;
mod list;
mod metric;
mod requests;

use metrics::{Recorder, SetRecorderError};

pub use self::emf::{CloudWatchMetric, Emf, cloudwatch, flush, publish, published};
pub use self::list::*;
pub use self::metric::{About, Counter, Gauge, Histogram, InProgress, Kind, Metric, Unit};
pub use self::requests::Requests;

/// Has everything recorded by this recorder from now on; an error if the process has one already. All series whose labels are
/// known begin at zero at once, so that the first event is seen as an increase.
pub fn install<R>(recorder: R) -> Result<(), SetRecorderError<R>>
where
    R: Recorder + Sync + 'static,
{
    metrics::set_global_recorder(recorder)?;
    for metric in ALL {
        metric.start();
    }
    Ok(())
}

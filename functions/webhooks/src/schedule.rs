use shared::webhooks::Event;
use time::{Duration, OffsetDateTime};

/// The waits after the first failed attempts; the last is repeated.
const WAITS: [Duration; 9] = [
    Duration::seconds(5),
    Duration::seconds(30),
    Duration::minutes(2),
    Duration::minutes(10),
    Duration::minutes(30),
    Duration::hours(1),
    Duration::hours(2),
    Duration::hours(4),
    Duration::hours(8),
];
/// For so long after it happened an event is told.
const SPAN: Duration = Duration::days(1);
/// By how much of it a wait is shorter or longer, so that what failed together does not come back together.
const JITTER: f64 = 0.2;

/// When to try again after so many failed attempts; `None` if the last one was made, a day after the event.
pub(crate) fn next(event: &Event, attempts: usize, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let end = whole_seconds(event.at + SPAN);
    let last = WAITS[WAITS.len() - 1];
    let wait = WAITS.get(attempts.saturating_sub(1)).copied().unwrap_or(last);
    let wait = wait * (1.0 + JITTER * (2.0 * event.id.share() - 1.0));
    (now < end).then(|| end.min(whole_seconds(now + wait)))
}

fn whole_seconds(time: OffsetDateTime) -> OffsetDateTime {
    time - Duration::nanoseconds(i64::from(time.nanosecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use shared::tenancy::EventId;
    use shared::webhooks::EventType;
    use time::macros::datetime;

    use super::*;

    const AT: OffsetDateTime = datetime!(2026-11-24 12:00:00.25 UTC);

    fn event(seed: &str) -> Event {
        Event {
            id: EventId::of(AT, &[seed]),
            kind: EventType::WebhookTest,
            at: AT,
            document_id: None,
            data: Value::Null,
        }
    }

    #[test]
    fn waits_grow_and_end_a_day_after_the_event() {
        for seed in ["a", "b", "c", "d"] {
            let event = event(seed);
            let (mut now, mut waits) = (AT, Vec::new());
            while let Some(due) = next(&event, waits.len() + 1, now) {
                waits.push((due - now).as_seconds_f64());
                now = due;
            }
            assert_eq!(now, datetime!(2026-11-25 12:00 UTC), "the last attempt");
            let planned: Vec<_> = WAITS.iter().map(|wait| wait.as_seconds_f64()).collect();
            assert!((10..=11).contains(&waits.len()), "{waits:?}");
            for (wait, planned) in waits.iter().zip(&planned).take(9) {
                assert!((wait / planned - 1.0).abs() <= JITTER + 1.0 / planned, "{waits:?}");
            }
        }
        let seconds = |seed| next(&event(seed), 8, AT).unwrap().unix_timestamp();
        assert!(["a", "b", "c"].iter().any(|seed| seconds(seed) != seconds("d")), "they do not come back together");
    }

    #[test]
    fn an_event_that_comes_late_is_tried_and_not_tried_again() {
        assert_eq!(next(&event("a"), 1, AT + SPAN), None);
        let late = AT + SPAN - Duration::seconds(2);
        assert_eq!(next(&event("a"), 1, late), Some(datetime!(2026-11-25 12:00 UTC)));
    }
}

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::answer::Answer;

/// What is being computed: the request, the permission set and the epoch. A reader that comes after a change has another
/// epoch, so it never waits for an answer from before.
pub(super) type FlightKey = (String, String, String);

/// Answers that this process is computing: whoever wants the same waits for it.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<FlightKey, watch::Receiver<Progress>>>);

#[derive(Clone)]
enum Progress {
    Running,
    Done(Option<Arc<Answer>>),
}

/// A place in a flight.
pub(super) enum Place {
    /// To compute the answer.
    Lead(Lead),
    /// To wait for it.
    Follow(Follow),
    /// Nobody computes it here.
    None,
}

impl Flights {
    /// Follows the flight that is under way, or leads one. Who only waits for the lease of another must not lead: who then
    /// came with the lease would follow them, and both would wait in vain.
    pub(super) fn join(self: &Arc<Self>, key: FlightKey, may_lead: bool) -> Place {
        let mut flights = self.lock();
        if let Some(progress) = flights.get(&key) {
            return Place::Follow(Follow(progress.clone()));
        }
        if !may_lead {
            return Place::None;
        }
        let (sender, receiver) = watch::channel(Progress::Running);
        flights.insert(key.clone(), receiver);
        Place::Lead(Lead { flights: Arc::clone(self), key, sender })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<FlightKey, watch::Receiver<Progress>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lead of a flight. Dropping it without an answer, as when the client went away, sends the followers off to compute
/// for themselves.
pub(super) struct Lead {
    flights: Arc<Flights>,
    key: FlightKey,
    sender: watch::Sender<Progress>,
}

impl Lead {
    /// Hands out the answer, or tells that there is none to share.
    pub(super) fn land(self, answer: Option<Arc<Answer>>) {
        let _ = self.sender.send(Progress::Done(answer));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

/// A wait for somebody else's answer.
pub(super) struct Follow(watch::Receiver<Progress>);

impl Follow {
    /// The answer, if there is one to share.
    pub(super) async fn landed(mut self) -> Option<Arc<Answer>> {
        match self.0.wait_for(|progress| matches!(progress, Progress::Done(_))).await.as_deref() {
            Ok(Progress::Done(answer)) => answer.clone(),
            Ok(Progress::Running) | Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(epoch: &str) -> FlightKey {
        ("request".to_owned(), "viewer".to_owned(), epoch.to_owned())
    }

    #[tokio::test]
    async fn followers_get_the_leaders_answer_and_an_epoch_has_its_own_flight() {
        let flights = Arc::new(Flights::default());
        let Place::Lead(lead) = flights.join(key("1"), true) else { panic!("nobody flies yet") };
        let Place::Follow(follow) = flights.join(key("1"), true) else { panic!("a flight is under way") };
        assert!(matches!(flights.join(key("2"), true), Place::Lead(_)));
        lead.land(Some(Arc::new(Answer::new("application/json".to_owned(), "{}".into()))));
        assert_eq!(follow.landed().await.unwrap().body, "{}");
        assert!(matches!(flights.join(key("1"), true), Place::Lead(_)), "it has ended");
    }

    #[tokio::test]
    async fn who_waits_for_another_process_follows_but_does_not_lead() {
        let flights = Arc::new(Flights::default());
        assert!(matches!(flights.join(key("1"), false), Place::None));
        let Place::Lead(_lead) = flights.join(key("1"), true) else { panic!("nobody flies yet") };
        assert!(matches!(flights.join(key("1"), false), Place::Follow(_)));
    }

    #[tokio::test]
    async fn a_leader_that_goes_away_leaves_nobody_waiting() {
        let flights = Arc::new(Flights::default());
        let Place::Lead(lead) = flights.join(key("1"), true) else { panic!("nobody flies yet") };
        let Place::Follow(follow) = flights.join(key("1"), true) else { panic!("a flight is under way") };
        drop(lead);
        assert!(follow.landed().await.is_none());
    }
}

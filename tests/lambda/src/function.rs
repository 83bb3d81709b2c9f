use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::answer::Answer;
use crate::environment::{Environment, Program};
use crate::invoke_error::InvokeError;
use crate::runtime_api::Outcome;

/// How the environments of a function are kept.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// As many at most, each of which takes one event at a time.
    pub environments: usize,
    /// An environment ends after so many events.
    pub invocations: Option<u64>,
    /// Whether one without an event is frozen.
    pub freezing: bool,
}

/// A function with as many environments as its events need side by side. They end with this value.
pub struct Function {
    program: Program,
    keeping: Keeping,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Environment>>,
    started: Mutex<Vec<i32>>,
}

impl Function {
    /// One without environments yet.
    pub fn new(program: Program, keeping: Keeping) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(keeping.environments));
        Arc::new(Self { program, keeping, slots, idle: Mutex::default(), started: Mutex::default() })
    }

    /// The answer to an event, by the environment that was used last of those that rest, or by a new one. It is worked on to its
    /// end even if nobody waits for the answer any more.
    pub async fn invoke(self: &Arc<Self>, event: Value) -> Result<Answer, InvokeError> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| InvokeError::Throttled)?;
        let (answer, answered) = oneshot::channel();
        tokio::spawn(Arc::clone(self).work(event, answer, slot));
        answered.await.expect("an event has an outcome")
    }

    /// The processes that were started so far, in their order.
    pub fn started(&self) -> Vec<i32> {
        lock(&self.started).clone()
    }

    /// The process that takes the next event, if one rests.
    pub fn resting(&self) -> Option<i32> {
        lock(&self.idle).last().map(Environment::pid)
    }

    async fn environment(&self) -> Result<Environment, InvokeError> {
        loop {
            let Some(mut rested) = lock(&self.idle).pop() else { break };
            if rested.lives() {
                return Ok(rested);
            }
        }
        let environment = Environment::start(&self.program).await?;
        lock(&self.started).push(environment.pid());
        Ok(environment)
    }

    async fn work(self: Arc<Self>, event: Value, answer: oneshot::Sender<Outcome>, _slot: OwnedSemaphorePermit) {
        let mut environment = match self.environment().await {
            Ok(environment) => environment,
            Err(error) => {
                let _ = answer.send(Err(error));
                return;
            }
        };
        let _ = answer.send(environment.invoke(&event).await);
        if !environment.rest().await {
            return;
        }
        if self.keeping.invocations.is_some_and(|most| environment.invocations() >= most) {
            environment.end().await.expect("a process of our own can be ended");
            return;
        }
        if self.keeping.freezing {
            environment.freeze().expect("a process of our own can be frozen");
        }
        lock(&self.idle).push(environment);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

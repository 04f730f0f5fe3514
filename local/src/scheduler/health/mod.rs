//! Asking tasks whether they are well, and new ones whether they are ready.

mod probe;
mod ready;
mod verdict;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all};
use tokio::time::{Instant, sleep, sleep_until};

use super::engine::Engine;
use super::events;
use super::model::task::{KillReason, Task};
use super::model::time::Timestamp;
use super::state::State;

pub(crate) use self::probe::Probes;
use self::verdict::{Verdict, judge};

/// How often a task that has not been well yet is asked within its grace period, if its interval is longer: a process that
/// starts in a second should not be waited for a minute.
const EAGER: Duration = Duration::from_secs(1);

/// Asks a running task for as long as it runs.
pub(crate) async fn watch(engine: &Arc<Engine>, task: &Task) -> Infallible {
    let mut questions: Vec<BoxFuture<'_, ()>> = Vec::new();
    for nth in 0..task.app.spec.health_checks.len() {
        questions.push(ask_again_and_again(engine, task, nth).map(|never| match never {}).boxed());
    }
    if !task.ready {
        questions.push(ready::until_ready(engine, task).boxed());
    }
    join_all(questions).await;
    std::future::pending().await
}

async fn ask_again_and_again(engine: &Arc<Engine>, task: &Task, nth: usize) -> Infallible {
    let Some(check) = task.app.spec.health_checks.get(nth) else { return std::future::pending().await };
    let interval = Duration::from_secs(check.interval_seconds.into());
    // An adopted task has been asked before.
    if check.protocol.is_beside_the_task() && task.started_at.is_none() {
        sleep(Duration::from_secs(check.delay_seconds.into())).await;
    }
    loop {
        let begun = Instant::now();
        let outcome = engine.probes.ask(engine, task, check).await;
        let mut pause = interval;
        engine.note(|state| {
            let verdict = note(state, &task.id, nth, &outcome, Timestamp::now());
            if verdict == Some(Verdict::Ignored) {
                pause = interval.min(EAGER);
            }
            matches!(verdict, Some(Verdict::Became(_) | Verdict::Kill))
        });
        sleep_until(begun + pause).await;
    }
}

/// Writes down what a check found and says what follows. `None` when the task is on its way out.
fn note(state: &mut State, id: &str, nth: usize, outcome: &Result<(), String>, now: Timestamp) -> Option<Verdict> {
    let host = state.host.clone();
    let task = state.task(id).filter(|task| !task.is_dying())?;
    let check = task.app.spec.health_checks.get(nth)?.clone();
    let started = task.started_at.unwrap_or(now);
    let verdict = state.change_findings(id, |task| {
        let health = task.health.get_mut(nth)?;
        Some(judge(&check, health, outcome, started, now))
    })??;
    let task = state.task(id)?.clone();
    if outcome.is_err() && verdict != Verdict::Ignored {
        state.emit(events::health_check_failed(&task, nth));
    }
    if let Some(alive) = verdict.became() {
        events::health_changed(&task, alive).into_iter().for_each(|event| state.emit(event));
    }
    if verdict == Verdict::Kill {
        let cause = outcome.clone().err().unwrap_or_default();
        state.emit(events::unhealthy_kill(&task, &cause, &host));
        state.kill_task(id, KillReason::Unhealthy(cause), false, now);
    }
    Some(verdict)
}

//! A run on a stage: time and chance come from a test instead of the machine, so that a run is the same every time.
//!
//! wasmtime-wasi asks a clock of ours for the time, but waits on the machine's; so the interface with the waits,
//! `wasi:clocks/monotonic-clock`, is linked to a clock of ours for plugins that were linked for a stage.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Accessor, HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::clocks::HostWallClock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{Deterministic, WasiCtxBuilder, p2, p3};

use crate::host::Clock;
use crate::state::RunState;

/// What a run on a stage has instead of the machine's time and chance.
#[derive(Clone)]
pub struct Stage {
    /// Its time. The limit on wall time counts on it too.
    pub clock: Arc<dyn Clock>,
    /// Its chance: the same seed gives the same random bytes.
    pub seed: u64,
}

impl Stage {
    /// Time of day and chance. Work on files happens where the guest runs, so that nothing overtakes anything.
    pub(crate) fn set(&self, wasi: &mut WasiCtxBuilder) {
        wasi.wall_clock(TimeOfDay(self.clock.clone())).allow_blocking_current_thread(true);
        wasi.secure_random(self.chance(1)).insecure_random(self.chance(2)).insecure_random_seed(self.seed.into());
    }

    fn chance(&self, kind: u64) -> Deterministic {
        Deterministic::new(chance(self.seed ^ (kind << 62)).take(CHANCE_BYTES / 8).flat_map(u64::to_le_bytes).collect())
    }
}

/// How many bytes come before they come again.
const CHANCE_BYTES: usize = 4096;

/// Numbers that look like chance (splitmix64).
fn chance(mut state: u64) -> impl Iterator<Item = u64> {
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

struct TimeOfDay(Arc<dyn Clock>);

impl HostWallClock for TimeOfDay {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.time_of_day()
    }
}

/// Links the clock with the waits to the stage's.
pub(crate) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    p2::bindings::clocks::monotonic_clock::add_to_linker::<_, StageClock>(linker, view)?;
    p3::bindings::clocks::monotonic_clock::add_to_linker::<_, StageClock>(linker, view)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn view(state: &mut RunState) -> View<'_> {
    let stage = state.stage.as_ref().expect("what is linked for a stage runs on one");
    View { clock: stage.clock.clone(), table: &mut state.table }
}

/// Through which the generated code reaches the clock.
struct StageClock;

struct View<'a> {
    clock: Arc<dyn Clock>,
    table: &'a mut ResourceTable,
}

impl HasData for StageClock {
    type Data<'a> = View<'a>;
}

impl View<'_> {
    fn now(&self) -> u64 {
        nanos(self.clock.now())
    }

    fn wait(&mut self, until: Duration) -> wasmtime::Result<Resource<DynPollable>> {
        let wait = self.table.push(Wait { clock: self.clock.clone(), until })?;
        subscribe(self.table, wait)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl p2::bindings::clocks::monotonic_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(View::now(self))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.wait(Duration::from_nanos(when))
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let until = self.clock.now().saturating_add(Duration::from_nanos(duration));
        self.wait(until)
    }
}

/// A moment that a WASI 0.2 guest waits for.
struct Wait {
    clock: Arc<dyn Clock>,
    until: Duration,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Wait {
    async fn ready(&mut self) {
        if self.clock.now() >= self.until {
            // A guest that looks again and again without waiting must let the others work.
            return tokio::task::yield_now().await;
        }
        self.clock.wait_until(self.until).await;
    }
}

impl p3::bindings::clocks::monotonic_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(View::now(self))
    }

    fn get_resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }
}

impl<T> p3::bindings::clocks::monotonic_clock::HostWithStore<T> for StageClock {
    async fn wait_until(accessor: &Accessor<T, Self>, when: u64) -> wasmtime::Result<()> {
        let clock = accessor.with(|mut access| access.get().clock);
        clock.wait_until(Duration::from_nanos(when)).await;
        Ok(())
    }

    async fn wait_for(accessor: &Accessor<T, Self>, duration: u64) -> wasmtime::Result<()> {
        let clock = accessor.with(|mut access| access.get().clock);
        let until = clock.now().saturating_add(Duration::from_nanos(duration));
        clock.wait_until(until).await;
        Ok(())
    }
}

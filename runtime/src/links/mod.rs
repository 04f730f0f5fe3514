//! The contract's interfaces, linked to the traits of [`crate::host`]. One file for each package.

mod marathon;
mod pods;
mod proxy;
mod streams;

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;
use wasmtime::component::{Accessor, HasData, Linker};

use crate::Interface;
use crate::bindings::ocho::{marathon as m, pods as p, proxy as x};
use crate::state::{Reach, RunState};

/// Through which the generated code reaches what a run may reach.
pub(crate) struct Ocho;

impl HasData for Ocho {
    type Data<'a> = &'a mut Arc<Reach>;
}

/// Puts one granted interface into a linker.
pub(crate) fn add_to_linker(linker: &mut Linker<RunState>, interface: Interface) -> wasmtime::Result<()> {
    match interface {
        Interface::MarathonInspect => m::inspect::add_to_linker::<_, Ocho>(linker, of),
        Interface::MarathonOperate => m::operate::add_to_linker::<_, Ocho>(linker, of),
        Interface::PodsRegistry => p::registry::add_to_linker::<_, Ocho>(linker, of),
        Interface::PodsObserve => p::observe::add_to_linker::<_, Ocho>(linker, of),
        Interface::PodsSecrets => p::secrets::add_to_linker::<_, Ocho>(linker, of),
        Interface::PodsControl => p::control::add_to_linker::<_, Ocho>(linker, of),
        Interface::PodsExec => p::exec::add_to_linker::<_, Ocho>(linker, of),
        Interface::ProxyShell => x::shell::add_to_linker::<_, Ocho>(linker, of),
        Interface::ProxyShellBlocking => x::shell_blocking::add_to_linker::<_, Ocho>(linker, of),
    }
}

fn of(state: &mut RunState) -> &mut Arc<Reach> {
    &mut state.reach
}

fn reach<T: Send>(accessor: &Accessor<T, Ocho>) -> Arc<Reach> {
    accessor.with(|mut access| access.get().clone())
}

impl Reach {
    /// Does the host's part of a call in a task of its own, so that its time is not the guest's; ends it with the call.
    async fn aside<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> wasmtime::Result<T> {
        let _place = self.under_way.call()?;
        AbortOnDropHandle::new(tokio::spawn(work)).await.map_err(wasmtime::Error::new)
    }
}

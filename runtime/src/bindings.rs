//! Bindings generated from the contract, private to this crate; [`crate::links`] turns them into the traits of [`crate::host`].

wasmtime::component::bindgen!({
    path: ["../wit/0.1/marathon", "../wit/0.1/pods", "../wit/0.1/proxy", "../wit/0.1/plugin"],
    world: "ocho:plugin/imports@0.1.0",
    imports: {
        // A plain function in WIT: it holds the guest until it has its answer.
        "ocho:proxy/shell-blocking": async | trappable,
        default: async | store | trappable,
    },
    require_store_data_send: true,
});

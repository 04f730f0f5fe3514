//! The contract's guest side, generated once for every plugin. Functions that a plugin does not call leave no import in it.
wit_bindgen::generate!({
    path: [
        "../../wit/0.1/marathon",
        "../../wit/0.1/pods",
        "../../wit/0.1/proxy",
        "../../wit/0.1/plugin",
    ],
    world: "ocho:plugin/imports",
    generate_all,
});

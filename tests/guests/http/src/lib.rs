//! An HTTP handler that says hello, in a header: what `wasmtime serve` runs in the benchmark, beside our `hello`.
#![cfg(target_family = "wasm")]

use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_future;

struct Hello;

impl wasip3::exports::http::handler::Guest for Hello {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let headers = Fields::from_list(&[("x-said".to_owned(), b"hello".to_vec())]);
        let headers = headers.map_err(|_| ErrorCode::InternalError(None))?;
        let (trailers, trailers_later) = wit_future::new(|| Ok(None));
        drop(trailers);
        let (response, _sent) = Response::new(headers, None, trailers_later);
        Ok(response)
    }
}

wasip3::http::service::export!(Hello);

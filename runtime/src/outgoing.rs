//! Outgoing HTTP requests of a run: the name is resolved, each address is checked, and only then one is connected to.
//!
//! `wasi:http` is linked for every guest, since guests of many languages import it unasked; without a policy all is refused.
//! It follows no redirects, so a redirect is one more request of the guest, and checked like the first.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::host::Outgoing;

/// Connections that a run holds at once.
const CONNECTIONS: usize = 32;

/// Resolving a name and connecting, each; a guest may set less.
const CONNECT: Duration = Duration::from_secs(30);

/// From the request to the first byte of the answer, where the guest sets nothing.
const FIRST_BYTE: Duration = Duration::from_secs(10 * 60);

/// The hook through which a run's requests go.
pub(crate) struct Requests {
    policy: Option<Arc<dyn Outgoing>>,
    places: Arc<Semaphore>,
}

impl Requests {
    pub(crate) fn new(policy: Option<Arc<dyn Outgoing>>) -> Self {
        Self { policy, places: Arc::new(Semaphore::new(CONNECTIONS)) }
    }
}

type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = Result<(http::Response<WasiBody>, Driver), Error>;

impl WasiHttpHooks for Requests {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Driver,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        let (policy, place) = (self.policy.clone(), self.places.clone().try_acquire_owned());
        Box::new(async move {
            let policy = policy.ok_or(Error::HttpRequestDenied)?;
            let place = place.map_err(|_| Error::ConnectionLimitReached)?;
            send(request, options.unwrap_or_default(), &*policy, place).await
        })
    }
}

async fn send(
    mut request: http::Request<WasiBody>,
    options: RequestOptions,
    policy: &dyn Outgoing,
    place: OwnedSemaphorePermit,
) -> Answer {
    let timeout = options.connect_timeout.unwrap_or(CONNECT).min(CONNECT);
    let stream = match request.uri().scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => Either::Left(connect(request.uri(), 80, timeout, policy).await?),
        Some(scheme) if *scheme == Scheme::HTTPS => Either::Right(secured(request.uri(), timeout, policy).await?),
        _ => return Err(Error::HttpRequestDenied),
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).parse();
    *request.uri_mut() = path.map_err(|_| Error::HttpRequestUriInvalid)?;
    let mut connection: Pin<Driver> = Box::pin(async move {
        let _place = place;
        connection.await.map_err(Error::from)
    });
    let answer = async {
        let mut sending = std::pin::pin!(sender.send_request(request));
        tokio::select! {
            biased;
            answer = &mut sending => Ok::<_, Error>((answer?, false)),
            ended = &mut connection => {
                ended?;
                Ok((sending.await?, true))
            }
        }
    };
    let timeout = options.first_byte_timeout.unwrap_or(FIRST_BYTE);
    let (answer, is_over) = tokio::time::timeout(timeout, answer).await.map_err(|_| Error::ConnectionReadTimeout)??;
    let driver = async move { if is_over { Ok(()) } else { connection.await } };
    Ok((answer.map(|body| body.map_err(Error::from).boxed_unsync()), Box::new(driver)))
}

/// Connects to the first address of the name that the policy allows: the very address that was checked.
async fn connect(uri: &http::Uri, default_port: u16, timeout: Duration, policy: &dyn Outgoing) -> Result<TcpStream, Error> {
    let host = host_of(uri)?;
    let port = uri.port_u16().unwrap_or(default_port);
    let found = tokio::time::timeout(timeout, tokio::net::lookup_host((host, port))).await.map_err(|_| Error::DnsTimeout)?;
    let mut failure = Error::HttpRequestDenied;
    for address in found.map_err(|_| Error::DestinationNotFound)? {
        if is_never_reached(address.ip()) || !policy.allows(host.to_owned(), address).await {
            continue;
        }
        match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => failure = Error::ConnectionRefused,
            Ok(Err(_)) => failure = Error::DestinationUnavailable,
            Err(_) => failure = Error::ConnectionTimeout,
        }
    }
    Err(failure)
}

/// The name or address, without the brackets of IPv6.
fn host_of(uri: &http::Uri) -> Result<&str, Error> {
    let host = uri.host().ok_or(Error::HttpRequestUriInvalid)?;
    Ok(host.trim_start_matches('[').trim_end_matches(']'))
}

/// Connects and makes sure that the server is whom the URL names.
async fn secured(uri: &http::Uri, timeout: Duration, policy: &dyn Outgoing) -> Result<TlsStream<TcpStream>, Error> {
    let name = host_of(uri)?.to_owned().try_into().map_err(|_| Error::HttpRequestUriInvalid)?;
    let config = policy.tls().await.ok_or(Error::HttpRequestDenied)?;
    let stream = connect(uri, 443, timeout, policy).await?;
    let greeted = tokio::time::timeout(timeout, TlsConnector::from(config).connect(name, stream)).await;
    greeted.map_err(|_| Error::ConnectionTimeout)?.map_err(|error| {
        let of_certificate = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        match of_certificate {
            Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
            _ => Error::TlsProtocolError,
        }
    })
}

/// Link-local addresses (a cloud's metadata service is one), those that mean many, and those that mean none: whatever a policy says.
fn is_never_reached(ip: IpAddr) -> bool {
    match without_prefix(ip) {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip == Ipv4Addr::BROADCAST,
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast(),
    }
}

/// The IPv4 address that an IPv6 one stands for, also where a gateway translates it (`64:ff9b::/96`).
fn without_prefix(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if ip.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
            let [.., a, b, c, d] = ip.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_in_all_spellings_is_never_reached() {
        for never in [
            "169.254.169.254",
            "64:ff9b::169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(is_never_reached(never.parse().unwrap()), "{never}");
        }
        for other in ["127.0.0.1", "10.0.0.1", "::1", "64:ff9b::10.0.0.1", "2001:db8::1", "169.253.1.1"] {
            assert!(!is_never_reached(other.parse().unwrap()), "{other}");
        }
    }
}

//! A master with `https`. Its certificates are made by the command `openssl`.

use ocho_runtime::host::MarathonError;
use ocho_tests::tls::Certificates;

use super::*;

#[tokio::test]
async fn only_the_given_authority_vouches() {
    let certificates = Certificates::make();
    let master = format!("https://{}", certificates.serve(|_| ("200 OK", "{}")));
    let ask = async |ca_file| {
        let config = MarathonConfig { ca_file: Some(ca_file), ..MarathonConfig::new([&master]) };
        MarathonClient::new(config).unwrap().queue().await
    };
    assert_eq!(ask(certificates.authority()).await.as_deref(), Ok("{}"));
    let error = ask(certificates.other_authority()).await.unwrap_err();
    assert!(matches!(&error, MarathonError::Unreachable(text) if text.contains("certificate")), "{error}");
}
